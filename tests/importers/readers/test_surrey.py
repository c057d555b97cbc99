"""eos's models: archives written by the layout of its headers; compared with eos itself where it is installed."""

import struct

import numpy as np
import pytest
from helpers.original_files import check_refused, deformed, head, outward_volume

from facefit.errors import ModelError
from facefit.importers.readers.surrey import read_surrey


def _matrix(values: np.ndarray) -> bytes:
    """Eigen: int32 rows, int32 columns, float32 column by column."""
    values = np.asarray(values, np.float32)
    values = values[:, None] if values.ndim == 1 else values
    return struct.pack("<ii", *values.shape) + values.tobytes(order="F")


def _vector(values: np.ndarray, kind: str) -> bytes:
    return struct.pack("<Q", len(values)) + np.asarray(values, kind).tobytes()


def _pca(mean, columns, variance, faces) -> bytes:
    return _matrix(mean) + _matrix(columns) + _matrix(variance) + _vector(faces, "<i4")


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _blendshapes(names, deltas) -> bytes:
    parts = [_text(name) + _matrix(delta) for name, delta in zip(names, deltas, strict=True)]
    return struct.pack("<Q", len(parts)) + b"".join(parts)


class Parts:
    """Means, components and variances of shape, colour and expressions over the small head."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        shape = head()
        size = shape.verts.size
        self.faces = shape.faces
        self.uv = rng.random((len(shape.verts), 2))
        self.names = ("anger", "happiness")
        self.deltas = rng.normal(0, 2, (2, size)).astype(np.float32)
        self.pca = {
            part: (
                mean.astype(np.float32),
                np.linalg.qr(rng.normal(size=(size, count)))[0].astype(np.float32),
                variance,
            )
            for part, mean, count, variance in (
                ("shape", shape.verts.ravel(), 6, np.linspace(5000, 40, 6).astype(np.float32)),
                ("color", rng.uniform(0.2, 0.8, size), 4, np.linspace(1, 0.1, 4).astype(np.float32)),
                ("expression", rng.normal(0, 1, size), 3, np.linspace(900, 50, 3).astype(np.float32)),
            )
        }

    def archive(self, version: int, color: bool = False, expression: str = "", landmarks: bool = False) -> bytes:
        empty = _pca(np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 3)))
        out = struct.pack("<I", version) + _pca(*self.pca["shape"], self.faces)
        out += _pca(*self.pca["color"], self.faces) if color else empty
        if version >= 2 and not expression:
            out += b"\x01"
        elif version >= 2 and expression == "pca":
            out += b"\x00" + struct.pack("<i", 0) + _pca(*self.pca["expression"], self.faces)
        elif version >= 2:
            out += b"\x00" + struct.pack("<i", 1) + _blendshapes(self.names, self.deltas)
        if version >= 3:
            out += b"\x00" + struct.pack("<Q", 1) + _text("nose") + struct.pack("<i", 7) if landmarks else b"\x01"
        out += _vector(self.uv, "<f8")
        return out + _vector(self.faces, "<i4") if version >= 4 else out

    def value(self, part: str, coefficients: np.ndarray) -> np.ndarray:
        mean, columns, variance = self.pca[part]
        return mean + columns @ (np.sqrt(variance) * coefficients)


def test_shape_and_blendshapes_beside_it(tmp_path):
    parts = Parts()
    path = tmp_path / "sfm_shape_3448.bin"
    path.write_bytes(parts.archive(1))
    (tmp_path / "expression_blendshapes_1.bin").write_bytes(_blendshapes(["other"], [np.zeros(30)]))
    (tmp_path / "expression_blendshapes_3448.bin").write_bytes(_blendshapes(parts.names, parts.deltas))
    source = read_surrey(path)
    assert source.name == "Surrey Face Model" and source.activation and source.expression_names == parts.names
    alpha, weight = np.random.default_rng(1).normal(size=6), np.array([0.3, 0.8])
    expected = parts.value("shape", alpha) + weight @ parts.deltas
    np.testing.assert_allclose(deformed(source, alpha, weight), expected.reshape(-1, 3), atol=1e-3)
    assert outward_volume(source) > 0 and source.albedo_mean is None
    # eos counts v from the top
    np.testing.assert_allclose(source.uv, np.c_[parts.uv[:, 0], 1 - parts.uv[:, 1]], atol=1e-6)
    assert len(read_surrey(tmp_path).expression_names) == 2


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_every_version_with_colours(tmp_path, version):
    parts = Parts()
    path = tmp_path / "model.bin"
    path.write_bytes(parts.archive(version, color=True, landmarks=True))
    source = read_surrey(path)
    beta = np.random.default_rng(2).normal(size=4)
    color = source.albedo_mean + np.tensordot(beta, source.albedo_basis, 1)
    np.testing.assert_allclose(color, parts.value("color", beta).reshape(-1, 3), atol=1e-5)
    assert len(source.expression_basis) == 0 and len(source.identity_basis) == 6


def test_expressions_within_the_model(tmp_path):
    parts, rng = Parts(), np.random.default_rng(3)
    alpha, gamma = rng.normal(size=6), rng.normal(size=3)
    (tmp_path / "pca.bin").write_bytes(parts.archive(4, expression="pca"))
    source = read_surrey(tmp_path / "pca.bin")
    expected = parts.value("shape", alpha) + parts.value("expression", gamma)  # eos adds the mean expression
    np.testing.assert_allclose(deformed(source, alpha, gamma), expected.reshape(-1, 3), atol=1e-3)
    assert not source.activation
    (tmp_path / "shapes.bin").write_bytes(parts.archive(2, expression="blendshapes"))
    source = read_surrey(tmp_path / "shapes.bin")
    assert source.activation and source.expression_names == parts.names
    np.testing.assert_allclose(source.expression_basis.reshape(2, -1), parts.deltas)


def test_a_model_that_winds_clockwise_is_turned(tmp_path):
    parts = Parts()
    parts.faces = parts.faces[:, ::-1]
    (tmp_path / "model.bin").write_bytes(parts.archive(4))
    source = read_surrey(tmp_path / "model.bin")
    assert outward_volume(source) > 0
    np.testing.assert_array_equal(source.uv_faces, source.faces)


def test_bad_files(tmp_path):
    check_refused(read_surrey, tmp_path, Parts().archive(4, color=True, expression="blendshapes"), ".bin")


def test_every_cut_is_noticed(tmp_path):
    data = Parts().archive(4, color=True, expression="pca", landmarks=True)
    path = tmp_path / "cut.bin"
    for end in [*range(0, 200, 7), *range(200, len(data), len(data) // 97), len(data) - 1]:
        path.write_bytes(data[:end])
        with pytest.raises(ModelError, match="cut.bin"):
            read_surrey(path)
    path.write_bytes(data + b"\x00")
    with pytest.raises(ModelError, match="1 bytes too many"):
        read_surrey(path)


@pytest.mark.parametrize(
    "version, message", [(0, "class version 0"), (5, "class version 5"), (1 << 31, "class version")]
)
def test_unknown_version(tmp_path, version, message):
    (tmp_path / "model.bin").write_bytes(struct.pack("<I", version) + Parts().archive(1)[4:])
    with pytest.raises(ModelError, match=message):
        read_surrey(tmp_path / "model.bin")


def test_impossible_lengths_are_not_allocated(tmp_path):
    path = tmp_path / "model.bin"
    for header in (
        struct.pack("<Iii", 1, 2_000_000_000, 2_000_000_000),
        struct.pack("<Iii", 1, -5, 3),
        struct.pack("<Iii", 1, 0, 0) * 3 + struct.pack("<Q", 1 << 62),
    ):
        path.write_bytes(header + bytes(100))
        with pytest.raises(ModelError, match="damaged|too many|fit"):
            read_surrey(path)


def test_blendshapes_of_another_model(tmp_path):
    (tmp_path / "model.bin").write_bytes(Parts().archive(1))
    (tmp_path / "shapes.bin").write_bytes(_blendshapes(["a"], [np.zeros(30)]))
    assert len(read_surrey(tmp_path / "model.bin").expression_names) == 0
    with pytest.raises(ModelError, match="blendshapes of 10 vertices for a model of"):
        read_surrey(tmp_path / "model.bin", expressions=tmp_path / "shapes.bin")


def test_files_that_eos_writes(tmp_path):
    eos = pytest.importorskip("eos", reason="eos-py writes and reads its own format")
    parts = Parts()

    def model(part: str):
        mean, columns, variance = parts.pca[part]
        return eos.morphablemodel.PcaModel(mean, columns, variance, parts.faces.tolist())

    written = eos.morphablemodel.MorphableModel(
        model("shape"), model("expression"), model("color"), {"nose": 7}, parts.uv.tolist(), parts.faces.tolist()
    )
    eos.morphablemodel.save_model(written, str(tmp_path / "eos.bin"))
    assert (tmp_path / "eos.bin").read_bytes() == parts.archive(4, color=True, expression="pca", landmarks=True)
    alpha, beta, gamma = (np.random.default_rng(k).normal(size=n) for k, n in ((4, 6), (5, 4), (6, 3)))
    read = eos.morphablemodel.load_model(str(tmp_path / "eos.bin"))
    mesh = read.draw_sample(alpha.tolist(), gamma.tolist(), beta.tolist())
    source = read_surrey(tmp_path / "eos.bin")
    np.testing.assert_allclose(deformed(source, alpha, gamma), np.array(mesh.vertices)[:, :3], atol=1e-3)
