"""The conversion of the face networks: layers against what TFLite says they do, by running small graphs."""

from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import tflite
from onnx import numpy_helper

from facefit.anatomy.landmarks import LANDMARKS
from facefit.errors import FaceFitError
from training.networks import wheel
from training.networks.attention import crop_of_features, crop_to_features, onto_the_picture
from training.networks.layers import LAYERS, Translation, padding
from training.networks.onnx_graph import OnnxGraph
from training.networks.refinement import PARTS, refined, sources
from training.networks.tflite_graph import densified


def run(graph: OnnxGraph, inputs: dict[str, np.ndarray], output: str, rank: int) -> np.ndarray:
    """The output, of so many dimensions, of a graph that was written by hand."""
    shapes = {name: ["N", *value.shape[1:]] for name, value in inputs.items()}
    model = graph.model("test", shapes, {output: [None] * rank}, "", {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run([output], inputs)[0]


class Tensors:
    """Stands for a TFLite graph: tensor 0 is the input, constants and the output's shape are given."""

    def __init__(self, shape, constants=(), result=None):
        self.shapes = {0: list(shape), 99: list(result or shape)}
        self.constants = dict(enumerate(constants, start=1))

    def shape(self, tensor):
        return self.shapes.get(tensor) or list(self.constants[tensor].shape)

    def constant(self, tensor):
        return self.constants.get(tensor)


def layer(kind, picture, constants=(), result=None, inputs=None, **options):
    """The output of one operator on a picture (N, H, W, C), channels last again."""
    graph = OnnxGraph()
    work = Translation(Tensors(picture.shape, constants, result), graph, {})
    given = {name: lambda value=value: value for name, value in options.items()}
    operator = SimpleNamespace(
        kind=kind,
        inputs=inputs or tuple(range(len(constants) + 1)),
        outputs=(99,),
        options=lambda table: SimpleNamespace(**given),
        custom_options=options.get("custom", b""),
    )
    if picture.ndim == 4:
        graph.node("Transpose", "image", out="tensor_0", perm=[0, 3, 1, 2])
    else:
        graph.node("Identity", "image", out="tensor_0")
    LAYERS[kind](work, operator)
    found = run(graph, {"image": picture.astype(np.float32)}, "tensor_99", len(result or picture.shape))
    return found.transpose(0, 2, 3, 1) if found.ndim == 4 else found


def pictures(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


CONVOLUTION = dict(DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=tflite.ActivationFunctionType.NONE)


@pytest.mark.parametrize(("size", "stride"), [(6, 1), (6, 2), (7, 2), (8, 2)])
def test_convolution_pads_as_tflite_does(size, stride):
    picture, weights, bias = pictures(2, size, size, 3), pictures(4, 3, 3, 3), pictures(4)
    found = layer("CONV_2D", picture, (weights, bias), StrideH=stride, StrideW=stride,
                  Padding=tflite.Padding.SAME, **CONVOLUTION)  # fmt: skip
    out = -(-size // stride)
    assert found.shape == (2, out, out, 4)
    total = max((out - 1) * stride + 3 - size, 0)
    before = total // 2  # the odd pixel is below and to the right
    padded = np.zeros((2, size + 4, size + 4, 3))
    padded[:, before : before + size, before : before + size] = picture
    for y in range(out):
        for x in range(out):
            seen = padded[:, y * stride : y * stride + 3, x * stride : x * stride + 3]
            expected = np.einsum("nijc,oijc->no", seen, weights) + bias
            assert found[:, y, x] == pytest.approx(expected, abs=1e-4)


def test_depthwise_convolution_keeps_channels_apart_and_has_its_activation():
    picture, weights = pictures(1, 5, 5, 4), pictures(1, 1, 1, 4)
    options = {**CONVOLUTION, "FusedActivationFunction": tflite.ActivationFunctionType.RELU6}
    found = layer("DEPTHWISE_CONV_2D", picture * 9, (weights, np.zeros(4, np.float32)), StrideH=1, StrideW=1,
                  Padding=tflite.Padding.VALID, **options)  # fmt: skip
    assert found == pytest.approx((picture * 9 * weights[0]).clip(0, 6), abs=1e-5)


def test_padding_without_need_is_none():
    assert padding(tflite.Padding.SAME, [8, 8], [1, 1], [2, 2], [1, 1]) == [0, 0, 0, 0]
    assert padding(tflite.Padding.VALID, [8, 8], [3, 3], [2, 2], [1, 1]) == [0, 0, 0, 0]
    assert padding(tflite.Padding.SAME, [8, 9], [5, 3], [2, 1], [1, 2]) == [1, 2, 2, 2]


def test_prelu():
    picture, slope = pictures(2, 4, 5, 3), np.array([[[0.1, -0.5, 2.0]]], np.float32)
    found = layer("PRELU", picture, (slope,))
    assert found == pytest.approx(np.where(picture > 0, picture, picture * slope), abs=1e-6)


def test_depth_to_space_takes_rows_of_a_block_first():
    picture = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    found = layer("DEPTH_TO_SPACE", picture, result=(1, 2, 2, 2), BlockSize=2)
    assert found[0, :, :, 0].tolist() == [[0, 2], [4, 6]] and found[0, :, :, 1].tolist() == [[1, 3], [5, 7]]


def test_channels_are_padded():
    picture = pictures(1, 2, 2, 3)
    found = layer("PAD", picture, (np.array([[0, 0], [0, 1], [0, 0], [0, 2]], np.int32),), result=(1, 3, 2, 5))
    assert found.shape == (1, 3, 2, 5)
    assert (found[:, :2, :, :3] == picture).all() and found[:, 2].any() == found[..., 3:].any() == 0


def test_a_reshaped_picture_is_read_channels_last():
    picture = pictures(2, 3, 4, 2)
    found = layer("RESHAPE", picture, result=(2, 12, 2))
    assert (found == picture.reshape(2, 12, 2)).all()


def test_pooling():
    picture = pictures(1, 5, 4, 2)
    options = dict(FilterHeight=2, FilterWidth=2, StrideH=2, StrideW=2, Padding=tflite.Padding.SAME,
                   FusedActivationFunction=tflite.ActivationFunctionType.NONE)  # fmt: skip
    found = layer("MAX_POOL_2D", picture, **options)
    assert found.shape == (1, 3, 2, 2)
    assert found[0, 0, 0] == pytest.approx(picture[0, :2, :2].max((0, 1)))
    assert found[0, 2, 1] == pytest.approx(picture[0, 4:, 2:].max((0, 1)))
    found = layer("AVERAGE_POOL_2D", picture, FilterHeight=5, FilterWidth=4)
    assert found == pytest.approx(picture.mean((1, 2), keepdims=True), abs=1e-6)
    with pytest.raises(FaceFitError, match="average pool of less"):
        layer("AVERAGE_POOL_2D", picture, FilterHeight=2, FilterWidth=4)


@pytest.mark.parametrize("corners", [True, False])
def test_resizing(corners):
    picture = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    options = dict(AlignCorners=corners, HalfPixelCenters=not corners)
    found = layer("RESIZE_BILINEAR", picture, result=(1, 1, 8, 1), **options)[0, 0, :, 0]
    place = np.arange(8) * 3 / 7 if corners else ((np.arange(8) + 0.5) / 2 - 0.5).clip(0, 3)
    assert found == pytest.approx(place, abs=1e-5)


def test_transposed_convolution_doubles_a_picture():
    picture, weights, bias = pictures(1, 4, 4, 2), pictures(4, 2, 2, 2), pictures(4)
    found = layer("Convolution2DTransposeBias", picture, (weights, bias), result=(1, 8, 8, 4),
                  custom=np.array([1, 2, 2], np.int32).tobytes())  # fmt: skip
    expected = np.einsum("nhwc,oijc->nhiwjo", picture, weights).reshape(1, 8, 8, 4) + bias
    assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(FaceFitError, match="transposed convolution of \\[4, 4\\]"):
        layer("Convolution2DTransposeBias", picture, (weights, bias), result=(1, 7, 7, 4),
              custom=np.array([1, 2, 2], np.int32).tobytes())  # fmt: skip


def test_what_is_not_known_is_refused():
    with pytest.raises(FaceFitError, match="activation 4: not known"):
        layer("ADD", pictures(1, 2, 2, 1), inputs=(0, 0), FusedActivationFunction=4)
    with pytest.raises(FaceFitError, match="a slice of less than all"):
        layer("STRIDED_SLICE", pictures(1, 4, 4, 1), result=(1, 2, 4, 1))


PART = dict(left_rotation_idx=0, right_rotation_idx=1, subset_idxs=[2, 3, 3, 4], output_width=8, output_height=4,
            scale_x=1.5, scale_y=2.0)  # fmt: skip


def matrices(points):
    """By the angle: the crop's centre is the middle of the part's box in axes turned by the eyes' angle."""
    out = []
    for face in points[..., :2].astype(float):
        dx, dy = face[1] - face[0]
        angle = np.arctan2(dy, dx)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        part = face[[2, 3, 4]] @ turn  # into the part's own axes
        low, high = part.min(0), part.max(0)
        linear = turn @ np.diag((high - low) * (1.5, 2.0) / (8, 4))
        matrix = np.eye(4)
        matrix[:2, :2], matrix[:2, 3] = linear, turn @ (low + high) / 2 - linear @ (4, 2)
        out.append(matrix)
    return np.array(out)


def test_a_crop_follows_its_landmarks():
    points = np.random.default_rng(1).uniform(0, 20, (3, 6, 3)).astype(np.float32)
    graph = OnnxGraph()
    crop_to_features(graph, "points", PART, "matrix")
    assert run(graph, {"points": points}, "matrix", 3) == pytest.approx(matrices(points), abs=1e-4)


def test_features_are_read_between_their_pixels_and_nothing_beyond():
    features = pictures(2, 3, 9, 12)
    points = np.random.default_rng(2).uniform(-2, 10, (2, 6, 3)).astype(np.float32)
    matrix = matrices(points).astype(np.float32)
    graph = OnnxGraph()
    crop_of_features(graph, "features", [9, 12], "matrix", PART, "seen")
    found = run(graph, {"features": features, "matrix": matrix}, "seen", 4)
    assert found.shape == (2, 3, 4, 8)
    outside = 0
    for n, y, x in np.ndindex(2, 4, 8):
        u, v = (matrix[n] @ (x + 0.5, y + 0.5, 0, 1))[:2] - 0.5
        if not (0 <= u <= 11 and 0 <= v <= 8):
            outside += 1
            assert (found[n, :, y, x] == 0).all()
            continue
        i, j = min(int(v), 7), min(int(u), 10)
        rows = features[n, :, i] * (i + 1 - v) + features[n, :, i + 1] * (v - i)
        expected = rows[:, j] * (j + 1 - u) + rows[:, j + 1] * (u - j)
        assert found[n, :, y, x] == pytest.approx(expected, abs=1e-3)
    assert 0 < outside < 64


def test_points_of_a_crop_go_back_by_its_matrix():
    points, matrix = pictures(2, 5, 2), pictures(2, 4, 4)
    graph = OnnxGraph()
    onto_the_picture(graph, "points", "matrix", "moved")
    found = run(graph, {"points": points, "matrix": matrix}, "moved", 3)
    expected = np.einsum("nij,nkj->nki", matrix[:, :2, :2], points) + matrix[:, None, :2, 3]
    assert found == pytest.approx(expected, abs=1e-5)


def test_each_part_has_its_own_landmarks():
    assert [len(part) for part in PARTS] == [80, 71, 71, 5, 5]
    every = [landmark for part in PARTS for landmark in part]
    assert len(set(every)) == len(every)
    rows = sources()
    assert (
        sorted(rows[every]) == list(range(468, 700))
        and (np.delete(rows, every) == np.delete(np.arange(478), every)).all()
    )


def test_parts_replace_x_and_y_and_irises_take_the_depth_of_their_eyes():
    mesh = np.random.default_rng(3).normal(size=(2, 468, 3)).astype(np.float32)
    parts = [np.full((2, 2 * len(part)), 10.0 + number, np.float32) for number, part in enumerate(PARTS)]
    parts[0][:, :2] = 77  # the first point of the lips is the person's right corner
    graph, names = OnnxGraph(), [f"part{number}" for number in range(5)]
    refined(graph, "mesh", names, "points")
    found = run(graph, {"mesh": mesh.reshape(2, -1), **dict(zip(names, parts, strict=True))}, "points", 3)
    assert found.shape == (2, LANDMARKS, 3)
    assert (found[:, :468, 2] == mesh[..., 2]).all()
    assert (found[:, 61, :2] == 77).all() and (found[:, 33, :2] == 11).all() and (found[:, 263, :2] == 12).all()
    assert (found[:, 468:473, :2] == 13).all() and (found[:, 473:, :2] == 14).all()
    assert (found[:, 1, :2] == mesh[:, 1, :2]).all()
    right, left = (33, 133, 159, 145, 7, 163, 144, 153, 154, 155, 246, 161, 160, 158, 157, 173), (263, 362)
    expected = mesh[:, right, 2].mean(1)[:, None].repeat(5, 1)
    assert found[:, 468:473, 2] == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(found[:, 473:, 2], expected) and len(left) == 2


def test_weights_of_16_bits_stay_so_and_others_do_not():
    graph = OnnxGraph()
    half, full = np.arange(32, dtype=np.float32) / 8, np.linspace(0, 1, 32, dtype=np.float32)
    assert graph.constant(half) == graph.constant(half.copy())
    total = graph.node("Add", graph.node("Add", "image", graph.constant(half)), graph.constant(full))
    graph.node("Identity", total, out="sum")
    model = graph.model("test", {"image": ["N", 32]}, {"sum": ["N", 32]}, "meaning", {"license": "X"})
    types = {numpy_helper.to_array(constant).dtype for constant in model.graph.initializer}
    assert types == {np.dtype(np.float16), np.dtype(np.float32)}
    assert model.doc_string == "meaning" and model.metadata_props[0].value == "X"


class Level:
    def __init__(self, size=None, segments=None, indices=None):
        self.size, self.segments, self.indices = size, segments, indices

    def Format(self):  # noqa: N802  the names are the schema's
        return tflite.DimensionType.DENSE if self.size else tflite.DimensionType.SPARSE_CSR

    def DenseSize(self):  # noqa: N802
        return self.size


def sparsity(order, blocks, levels):
    """What the schema calls SparsityParameters, with lists in place of vectors."""
    return SimpleNamespace(
        TraversalOrderAsNumpy=lambda: np.array(order),
        BlockMapLength=lambda: len(blocks),
        BlockMapAsNumpy=lambda: np.array(blocks),
        DimMetadataLength=lambda: len(levels),
        DimMetadata=lambda number: levels[number],
    )


def test_sparse_weights(monkeypatch):
    """A matrix of 4 x 6 in blocks of 2 x 2, by rows of blocks: two blocks in the first, one in the second."""
    monkeypatch.setattr(
        "training.networks.tflite_graph.level_vectors",
        lambda level: (np.array(level.segments), np.array(level.indices)),
    )
    rows = Level(size=2)
    columns = Level(segments=[0, 2, 3], indices=[0, 2, 1])
    found = densified(
        np.arange(1.0, 13.0), [4, 6], sparsity([0, 1, 2, 3], [0, 1], [rows, columns, Level(size=2), Level(size=2)])
    )
    assert found.tolist() == [
        [1, 2, 0, 0, 5, 6],
        [3, 4, 0, 0, 7, 8],
        [0, 0, 9, 10, 0, 0],
        [0, 0, 11, 12, 0, 0],
    ]


def test_another_wheel_is_refused(tmp_path):
    import zipfile

    file = tmp_path / "mediapipe.whl"
    with pytest.raises(FaceFitError, match="no wheel of mediapipe==0.10.21"):
        wheel.read(file, wheel.SELFIE)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(wheel.SELFIE.path, b"another network")
    with pytest.raises(FaceFitError, match="has the sum .* its publisher's is 9ee168ec"):
        wheel.read(file, wheel.SELFIE)
    with pytest.raises(FaceFitError, match="no wheel"):
        wheel.read(file, wheel.SHORT_RANGE)
