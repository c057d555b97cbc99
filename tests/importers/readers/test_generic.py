"""A model of one's own: folders of OBJ files and .npz archives as docs/own_model.md describes them."""

import json

import numpy as np
import pytest
from helpers.original_files import MARKER, RunsCode, check_refused, deformed, head, outward_volume

from facefit.errors import ModelError
from facefit.files.read_obj import read_obj
from facefit.importers.readers.generic import read_generic


def _write_obj(path, verts, faces=None, lines: str = "") -> None:
    text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in verts) + lines
    faces = head().faces if faces is None else faces
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "".join("f " + " ".join(str(k + 1) for k in face) + "\n" for face in faces))


def _folder(folder, unit: float = 1.0, settings: dict | None = None) -> dict:
    """A template with ten identities (in two digits' order) and two expressions; returns the deltas in mm."""
    rng = np.random.default_rng(0)
    shape = head()
    deltas = {f"identity/shape{k}": rng.normal(0, 2, shape.verts.shape) for k in range(1, 11)}
    deltas |= {f"expression/{name}": rng.normal(0, 2, shape.verts.shape) for name in ("jawOpen", "browInnerUp")}
    _write_obj(folder / "template.obj", shape.verts / unit)
    for name, delta in deltas.items():
        _write_obj(folder / f"{name}.obj", (shape.verts + delta) / unit)
    if settings is not None:
        (folder / "model.json").write_text(json.dumps(settings))
    return deltas


def test_folder_of_obj_files(tmp_path):
    deltas = _folder(tmp_path / "mine", settings={"name": "Mine", "version": "7", "license": "CC0-1.0"})
    source = read_generic(tmp_path / "mine")
    assert (source.name, source.version, source.license, source.activation) == ("Mine", "7", "CC0-1.0", True)
    assert source.expression_names == ("browInnerUp", "jawOpen")
    rng = np.random.default_rng(1)
    identity, expression = rng.normal(size=10), rng.random(2)
    expected = head().verts + sum(w * deltas[f"identity/shape{k + 1}"] for k, w in enumerate(identity))
    expected = (
        expected + expression[0] * deltas["expression/browInnerUp"] + expression[1] * deltas["expression/jawOpen"]
    )
    np.testing.assert_allclose(deformed(source, identity, expression), expected, atol=1e-4)
    assert outward_volume(source) > 0 and source.uv is None and len(source.provenance["sha256"]) == 64
    np.testing.assert_array_equal(read_generic(tmp_path / "mine" / "template.obj").verts, source.verts)


@pytest.mark.parametrize("unit", [1.0, 10.0, 100.0, 1000.0])
def test_the_unit_is_told_from_the_size_of_a_head(tmp_path, unit):
    _folder(tmp_path / "mine", unit)
    np.testing.assert_allclose(read_generic(tmp_path / "mine").verts, head().verts, atol=1e-3)


def test_unit_and_axes_by_name(tmp_path):
    # Blender: z up, the face looks along -y; metres
    verts = head().verts[:, [0, 2, 1]] * (1, -1, 1) / 1000
    _write_obj(tmp_path / "neutral.obj", verts)
    _write_obj(tmp_path / "jawOpen.obj", verts - (0, 0, 0.01))
    settings = {"unit": "m", "axes": {"left": "x", "up": "z", "out": "-y"}, "expression_kind": "std"}
    (tmp_path / "model.json").write_text(json.dumps(settings))
    source = read_generic(tmp_path)
    np.testing.assert_allclose(source.verts, head().verts, atol=2e-3)
    np.testing.assert_allclose(source.expression_basis[0], np.tile([0, -10, 0], (len(verts), 1)), atol=2e-3)
    assert source.expression_names == ("jawOpen",) and not source.activation and outward_volume(source) > 0


def test_blendshapes_in_a_folder_of_their_own(tmp_path):
    _write_obj(tmp_path / "head.obj", head().verts)
    _write_obj(tmp_path / "shapes" / "smile.obj", head().verts + 1)
    source = read_generic(tmp_path / "head.obj", blendshapes=tmp_path / "shapes")
    assert source.expression_names == ("smile",) and len(source.identity_basis) == 0


def test_obj_with_quads_texture_colours_and_groups(tmp_path):
    path = tmp_path / "template.obj"
    path.write_text(
        "# Blender\nmtllib x.mtl\no Cube\n"
        "v 0 0 0 1 0 0\nv 100 0 0 0 1 0\nv 100 150 0 0 0 1\nv 0 150 0 0.5 0.5 0.5\nv 50 75 90 1 1 1\n"
        "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvn 0 0 1\n"
        "g base\nusemtl Skin\nf 4/4/1 3/3/1 2/2/1 1/1/1\nusemtl Teeth\nf -5/-4 -4/-3 -1/-1\nf 2/2 3/3 5/4\n"
        "usemtl Skin\nf 3/3 4/4 \\\n5/1\nf 4/4 1/1 5/1\n"
    )
    mesh = read_obj(path)
    assert mesh.faces.tolist() == [[3, 2, 1], [3, 1, 0], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]
    assert mesh.uv_faces.tolist()[2] == [0, 1, 3] and mesh.uv.shape == (4, 2)
    assert mesh.part_names == (("Cube", "base", "Skin"), ("Cube", "base", "Teeth"))
    _write_obj(tmp_path / "smile.obj", mesh.verts + 1, mesh.faces)
    (tmp_path / "model.json").write_text(json.dumps({"parts": {"Teeth": "mouth_inside"}, "unit": "mm"}))
    source = read_generic(tmp_path)
    assert source.label_hint.tolist() == [9, 9, 9, 0, 9] and source.uv is not None
    np.testing.assert_allclose(source.albedo_mean[3], 0.5)
    assert outward_volume(source) > 0


def test_eyeballs_by_material(tmp_path):
    shape = head()
    names = ("head", "EyeR", "EyeL")
    lines = "".join(f"v {x} {y} {z}\n" for x, y, z in shape.verts)
    for side, name in enumerate(names):
        own = shape.faces[(shape.eye[shape.faces] == side).all(1)]
        lines += f"usemtl {name}\n" + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in own)
    (tmp_path / "template.obj").write_text(lines)
    _write_obj(tmp_path / "blink.obj", shape.verts)
    (tmp_path / "model.json").write_text(json.dumps({"parts": {"EyeR": "right_eye", "EyeL": "left_eye"}}))
    np.testing.assert_array_equal(read_generic(tmp_path).eyeball, shape.eye)


def test_texture_coordinates_of_several_pictures_are_left_to_an_atlas(tmp_path):
    shape = head()
    for name, across in (("one", 1.0), ("udim", 2.0)):
        rows = "".join(f"vt {across * k / len(shape.verts):.6f} 0.5\n" for k in range(len(shape.verts)))
        text = "".join(f"v {x} {y} {z}\n" for x, y, z in shape.verts) + rows
        text += "".join(f"f {a + 1}/{a + 1} {b + 1}/{b + 1} {c + 1}/{c + 1}\n" for a, b, c in shape.faces)
        (tmp_path / name).mkdir()
        (tmp_path / name / "template.obj").write_text(text)
        _write_obj(tmp_path / name / "smile.obj", shape.verts)
    assert read_generic(tmp_path / "udim").uv is None
    np.testing.assert_array_equal(read_generic(tmp_path / "one").uv_faces, read_generic(tmp_path / "one").faces)
    (tmp_path / "one" / "model.json").write_text('{"uv": false}')
    assert read_generic(tmp_path / "one").uv is None


# --- npz ---


def _arrays(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    shape = head()
    count = len(shape.verts)
    return {
        "verts": shape.verts / 1000,
        "faces": shape.faces,
        "identity_basis": rng.normal(0, 0.002, (5, count, 3)),
        "expression_basis": rng.normal(0, 0.002, (3, count, 3)),
        "identity_std": np.array([3.0, 2, 1, 1, 0.5]),
        "expression_names": np.array(["a", "b", "c"]),
        "albedo_mean": rng.uniform(0, 255, (count, 3)),
        "albedo_basis": rng.normal(0, 0.02, (2, count, 3)),
        "albedo_std": np.array([2.0, 1.0]),
        "uv": rng.random((count, 2)),
        "eyeball": shape.eye,
        "label_hint": np.array([0, 3, 4])[shape.eye],
        "name": np.array("Mine"),
        "unit": np.array("m"),
        "license": np.array("CC-BY-4.0"),
        "expression_kind": np.array("std"),
    }


def test_npz_with_everything(tmp_path):
    data = _arrays()
    np.savez(tmp_path / "mine.npz", **data)
    source = read_generic(tmp_path / "mine.npz")
    rng = np.random.default_rng(1)
    identity, expression, albedo = rng.normal(size=5), rng.normal(size=3), rng.normal(size=2)
    expected = data["verts"] + np.tensordot(identity * data["identity_std"], data["identity_basis"], 1)
    expected = 1000 * (expected + np.tensordot(expression, data["expression_basis"], 1))
    np.testing.assert_allclose(deformed(source, identity, expression), expected, atol=1e-3)
    color = data["albedo_mean"] / 255 + np.tensordot(albedo * data["albedo_std"], data["albedo_basis"], 1)
    found = source.albedo_mean + np.tensordot(albedo, source.albedo_basis, 1)
    np.testing.assert_allclose(found, color, atol=1e-5)
    assert (source.name, source.license, source.activation) == ("Mine", "CC-BY-4.0", False)
    np.testing.assert_array_equal(source.uv_faces, source.faces)
    np.testing.assert_array_equal(source.eyeball, data["eyeball"])


def test_npz_with_columns_axes_and_clockwise_faces(tmp_path):
    data = {k: v for k, v in _arrays().items() if k in ("verts", "faces", "identity_basis", "expression_basis")}
    swapped = {**data, "faces": data["faces"][:, ::-1], "axes": np.array('{"left": "x", "up": "z", "out": "-y"}')}
    for name in ("verts", "identity_basis", "expression_basis"):
        swapped[name] = data[name][..., [0, 2, 1]] * (1, -1, 1)
    for name in ("identity_basis", "expression_basis"):
        swapped[name] = swapped[name].reshape(len(data[name]), -1).T
    np.savez(tmp_path / "a.npz", **data)
    np.savez(tmp_path / "b.npz", **swapped)
    a, b = read_generic(tmp_path / "a.npz"), read_generic(tmp_path / "b.npz")
    for name in ("verts", "identity_basis", "expression_basis"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-4)
    np.testing.assert_array_equal(a.faces, b.faces)
    assert a.expression_names[0] == "expression00" and a.activation and a.name == "a"


# --- what is wrong ---


def test_bad_files(tmp_path):
    import io

    stream = io.BytesIO()
    np.savez(stream, **_arrays())
    check_refused(read_generic, tmp_path, stream.getvalue(), ".npz")
    # half an OBJ file is an OBJ file: it is the blendshapes that do not fit then
    deltas = _folder(tmp_path / "mine")
    assert deltas
    good = (tmp_path / "mine" / "template.obj").read_bytes()
    for name, bad in {"empty": b"", "text": b"hello\n" * 9, "binary": bytes(99), "verts only": good[:999],
                      "polygon": good + b"f 1 2 99999\n", "zero": good + b"f 0 1 2\n", "number": good + b"v 1 2 x\n",
                      "short": good + b"v 1 2\n"}.items():  # fmt: skip
        (tmp_path / "mine" / "template.obj").write_bytes(bad)
        with pytest.raises(ModelError, match="template.obj|vertices") as caught:
            read_generic(tmp_path / "mine")
        assert "\n" not in str(caught.value), name


def test_code_in_an_npz_is_not_run(tmp_path):
    np.savez(tmp_path / "mine.npz", **{**_arrays(), "identity_basis": np.array([RunsCode(tmp_path)], object)})
    with pytest.raises(ModelError, match="identity_basis holds pickled Python objects"):
        read_generic(tmp_path / "mine.npz")
    assert not (tmp_path / MARKER).exists()


def test_a_blendshape_of_another_mesh_is_named(tmp_path):
    _folder(tmp_path / "mine")
    _write_obj(tmp_path / "mine" / "expression" / "other.obj", head(5, 6).verts, head(5, 6).faces)
    with pytest.raises(ModelError, match="other.obj: .* vertices; the template has"):
        read_generic(tmp_path / "mine")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"unit": "inch"}, "unit 'inch'; accepted: mm, cm, dm, m"),
        ({"axes": {"left": "x", "up": "x", "out": "z"}}, "axes .*accepted"),
        ({"axes": "zup"}, "axes .*accepted"),
        ({"colour": 1}, "unknown settings.*accepted: name"),
        ({"expression_kind": "both"}, "expression_kind 'both'; accepted: activation, std"),
        ({"parts": {"Teeth": "mouth_inside"}}, "parts .*accepted"),
        ({"unit": "m"}, "wrong unit"),
        ([1], "unknown settings"),
    ],
)
def test_a_setting_that_is_not_known_is_named(tmp_path, settings, message):
    _folder(tmp_path / "mine", settings=settings)
    with pytest.raises(ModelError, match=message):
        read_generic(tmp_path / "mine")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such folder or file"):
        read_generic(tmp_path / "absent")
    with pytest.raises(ModelError, match="lacks the template; expected template.obj, neutral.obj or mean.obj"):
        read_generic(tmp_path)
    _write_obj(tmp_path / "template.obj", head().verts)
    with pytest.raises(ModelError, match="without a blendshape"):
        read_generic(tmp_path)
    (tmp_path / "head.fbx").write_text("FBX")
    with pytest.raises(ModelError, match="a .fbx file; accepted: a folder, a template .obj, an .npz"):
        read_generic(tmp_path / "head.fbx")
    with pytest.raises(ModelError, match="no such folder of blendshapes"):
        read_generic(tmp_path, blendshapes=tmp_path / "absent")
    (tmp_path / "model.json").write_text("{not json")
    with pytest.raises(ModelError, match="model.json"):
        read_generic(tmp_path)
