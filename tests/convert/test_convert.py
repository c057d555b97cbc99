"""One face in two topologies: toy models of different fineness that share landmarks and parts, answers by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.synthetic_result import paint, synthetic_result
from helpers.toy_faces import toy_face
from helpers.toy_model import jointed_arrays
from scipy import sparse

from facefit.anatomy.parts import LABEL
from facefit.convert.convert import DIRECTIONS, Shown, convert, rest_offsets, surface_errors
from facefit.convert.regions import LEFT_BALL, LOWER_LIP, NONE, NOSE, RIGHT_LID, SKIN, UPPER_LIP, oval, regions
from facefit.convert.residual import FADE, folded_vertices, graph_laplacian, surface_offsets
from facefit.convert.surface_fit import GroupedSurface
from facefit.convert.texture_transfer import transfer
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.polygon import inside
from facefit.geometry.triangles import vertex_normals
from facefit.model.model_file import from_arrays
from facefit.scene.parameters import Parameters

GAZE = torch.tensor([[[0.2, -0.1], [0.15, 0.05]]])


@pytest.fixture(scope="module")
def coarse():
    return from_arrays(toy_face(23, 21, eyes=True), checksum="coarse")


@pytest.fixture(scope="module")
def fine():
    return from_arrays(toy_face(35, 33, eyes=True), checksum="fine")


@pytest.fixture(scope="module")
def source(fine):
    result = synthetic_result(fine, yaw=0.3).scene
    return dataclasses.replace(result, parameters=dataclasses.replace(result.parameters, gaze=GAZE))


@pytest.fixture(scope="module")
def stiff():
    """A model of one identity component: what it cannot represent is most of the face."""
    return from_arrays(toy_face(29, 31, eyes=True, identity=1, expression=1), checksum="stiff")


@pytest.fixture(scope="module")
def plain(source, coarse):
    """By the components alone."""
    return convert(source, coarse, residual=False)


@pytest.fixture(scope="module")
def carried(source, coarse):
    return convert(source, coarse)


@pytest.fixture(scope="module")
def bent(source, stiff):
    """With offsets."""
    return convert(source, stiff)


def skin_distance(verts, model, other_verts, other):
    """mm from the face of one mesh to the other, without the toy's border."""
    mine = regions(model).inner & (np.abs(verts[:, 0]) < 50) & (np.abs(verts[:, 1]) < 70)
    return ClosestPoint(other_verts, other.faces.numpy())(verts[mine])[0]


# ---------------------------------------------------------------- the components


def test_the_same_components_are_found_in_another_mesh(source, plain):
    found = plain
    value = found.result.parameters
    assert np.abs((value.identity - source.parameters.identity).numpy()).max() < 0.4
    assert np.abs((value.expression - source.parameters.expression).numpy()).max() < 0.25
    assert 0 <= value.expression.min() and value.expression.max() <= 1
    assert not found.residual and list(found.errors) == ["components"]
    for direction in DIRECTIONS:
        assert found.errors["components"][direction]["median"] < 0.5  # the coarse mesh's facets are 5 mm wide
    assert found.motion.scale == 1.0 and np.abs(found.motion.rotation - np.eye(3)).max() < 0.01
    assert np.abs(found.motion.translation).max() < 0.5


def test_the_pose_is_kept_and_the_parameters_alone_give_the_mesh(source, coarse, plain):
    found = plain
    rotation, translation = source.pose()
    camera, model = found.verts_in("camera"), found.verts_in("model")
    assert np.abs(camera - (model @ rotation.T + translation)).max() < 1e-3
    value = found.result.parameters
    verts = coarse.shape(value.identity, value.expression, value.gaze, value.joints)[0].double().numpy()
    turn, shift = found.result.pose()
    assert np.abs(camera - (verts @ turn.T + shift)).max() < 1e-3
    assert found.result.camera is source.camera
    # both lie at one place in front of the camera
    assert np.median(skin_distance(camera, coarse, source.verts_in("camera"), source.model)) < 0.5


def test_a_model_that_is_turned_and_shifted_lands_on_the_same_place(source):
    """The target's own model space is another; nothing of that shows."""
    from facefit.geometry.rotation import rotation_matrix

    turn = rotation_matrix(torch.tensor([[0.1, 0.05, -0.02]]))[0].numpy()
    arrays = toy_face(23, 21, eyes=True)
    arrays["verts"] = (arrays["verts"] @ turn.T + (1, 8, -5)).astype(np.float32)
    for name in ("identity_basis", "expression_basis"):
        arrays[name] = (arrays[name] @ turn.T).astype(np.float32)
    found = convert(source, from_arrays(arrays), residual=False)
    assert np.abs(found.motion.rotation - turn.T).max() < 0.01
    assert found.errors["components"]["source_to_target"]["median"] < 0.5
    rotation, translation = source.pose()
    assert np.abs(found.verts_in("camera") - (found.verts_in("model") @ rotation.T + translation)).max() < 1e-3


def test_the_gaze_is_kept(carried):
    assert torch.allclose(carried.result.parameters.gaze, GAZE, atol=0.02)  # radians


def test_the_model_that_was_fitted_is_refused(source, fine):
    with pytest.raises(ValueError, match="toy 1 already"):
        convert(source, fine)


# ---------------------------------------------------------------- the offsets


def test_offsets_close_what_the_components_cannot(bent, stiff):
    found = bent
    for direction in DIRECTIONS:
        before, after = (found.errors[name][direction] for name in ("components", "residual"))
        assert before["median"] > 0.5 and after["median"] < 0.25 * before["median"]
        assert after["median"] <= after["mean"] <= after["p90"] * 1.5 and after["vertices"] > 300
    offsets = (found.result.model.verts - stiff.verts).numpy()
    ball = stiff.eyeball.numpy() == 2
    assert np.ptp(offsets[ball], axis=0).max() < 1e-4  # an eyeball is moved, not bent
    assert found.result.model.checksum == "stiff" and stiff.verts is not found.result.model.verts
    # the mesh is as smooth as it was: no triangle has turned over
    faces = stiff.faces.numpy()
    normals = [vertex_normals(verts, faces) for verts in (source_like(found), found.verts_in("model"))]
    assert (normals[0] * normals[1]).sum(1).min() > 0.5


def source_like(found):
    """The target with the components alone, where the converted mesh lies."""
    value = found.result.parameters
    plain = from_arrays(toy_face(29, 31, eyes=True, identity=1, expression=1))
    return found.motion(plain.shape(value.identity, value.expression, value.gaze)[0].double().numpy())


def test_eyeballs_end_on_the_sources(source, stiff, bent):
    found = bent
    for eye in (1, 2):
        theirs = source.verts_in("model")[source.model.eyeball.numpy() == eye]
        mine = found.verts_in("model")[stiff.eyeball.numpy() == eye]
        assert np.linalg.norm(mine.mean(0) - theirs.mean(0)) < 0.5


def test_there_and_back_is_the_same_face(source, fine, bent):
    there = bent
    back = convert(dataclasses.replace(there.result, model=there.result.model), fine)
    # `back` lies in the middle model's space, `there.motion` leads home
    home = there.motion(back.verts_in("model"))
    distance = skin_distance(home, fine, source.verts_in("model"), fine)
    assert np.median(distance) < 0.15 and np.percentile(distance, 90) < 1.0


def test_offsets_end_smoothly_beyond_the_face():
    arrays = toy_face(35, 33)
    side = arrays["verts"][:, 0] > 5
    arrays["vertex_label"] = np.where(side, LABEL["head"], LABEL["skin"]).astype(np.uint8)
    arrays["verts"] = (arrays["verts"] * (1, 1, 0)).astype(np.float32)  # flat, so that closest is straight ahead
    model = from_arrays(arrays)
    where, faces = regions(model), model.faces.numpy()
    verts = model.verts.double().numpy()
    surface = GroupedSurface(verts + (0, 0, 2.0), faces, where.face)
    none = (np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int))
    offsets = surface_offsets(verts, faces, where, surface, verts + (0, 0, 2.0), none)
    assert np.abs(offsets[verts[:, 0] < -10] - (0, 0, 2.0)).max() < 0.1
    assert 0.2 < offsets[(verts[:, 0] > 8) & (verts[:, 0] < 20), 2].mean() < 1.9
    assert (offsets[verts[:, 0] > 5 + FADE + 8] == 0).all()
    steps = offsets[faces[:, 0]] - offsets[faces[:, 1]]
    assert np.linalg.norm(steps, axis=1).max() < 1.0  # mm from vertex to vertex, nowhere a cliff


def test_the_laplacian_by_hand():
    """A chain of two triangles: 0 - 1 - 2 on a line, 3 above; vertex 1 has all three for neighbours."""
    verts = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0], [1, 1, 0.0]])
    faces = np.array([[0, 1, 3], [1, 2, 3]])
    laplacian = graph_laplacian(verts, faces, np.arange(4)).toarray()
    assert np.allclose(laplacian.sum(1), 0)
    assert np.allclose(laplacian[1], [-0.4, 1, -0.2, -0.4])  # 1/1, 1/2, 1/1 over their sum
    some = graph_laplacian(verts, faces, np.array([0, 1, -1, 2]))
    assert sparse.issparse(some) and np.allclose(some.toarray()[1], [-0.5, 1, -0.5])


def test_offsets_of_a_bent_face_are_found_at_rest():
    model = from_arrays(jointed_arrays())
    value = Parameters.zeros(model.sizes)
    value.joints[0, 2], value.joints[0, 1] = torch.tensor([0.4, 0.1, 0]), torch.tensor([0.2, 0, -0.1])
    offsets = np.random.default_rng(0).normal(0, 2, (len(model.verts), 3))
    rest = rest_offsets(model, value, offsets)

    def shown(model):
        return model.shape(value.identity, value.expression, value.gaze, value.joints)[0].double().numpy()

    moved = dataclasses.replace(model, verts=model.verts + torch.from_numpy(rest).float())
    assert np.abs(shown(moved) - shown(model) - offsets).max() < 1e-3
    plain = from_arrays(toy_face(17))
    assert rest_offsets(plain, Parameters.zeros(plain.sizes), offsets) is offsets


# ---------------------------------------------------------------- errors and regions


def test_errors_by_hand(fine):
    """The same face 1.5 mm further back: every distance along its flattened front is 1.5 mm."""
    arrays = toy_face(21)
    arrays["verts"] = (arrays["verts"] * (1, 1, 0)).astype(np.float32)
    model = from_arrays(arrays)
    result = synthetic_result(model).scene
    result = dataclasses.replace(result, parameters=Parameters.zeros(model.sizes))
    shown = Shown(result)
    verts = model.verts.double().numpy() - (0, 0, 1.5)
    verts[:, 2] -= 1.5 * (model.verts[:, 1].numpy() < -45)  # and the chin by 3
    errors = surface_errors(shown, model, regions(model), verts)
    assert set(errors) == set(DIRECTIONS)
    there = errors["source_to_target"]
    assert there["median"] == pytest.approx(1.5, abs=1e-5)
    counted = regions(model).inner & inside(model.verts.numpy()[:, :2], oval(model, model.verts.double().numpy()))
    assert there["vertices"] == counted.sum() and 100 < counted.sum() < len(verts)
    assert there["p90"] == pytest.approx(3.0, abs=1e-5) and 1.5 < there["mean"] < 2.2


def test_points_in_a_polygon():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4.0]])
    points = np.array([[2, 2], [5, 2], [-1, 2], [2, 5], [0.1, 3.9]])
    assert inside(points, square).tolist() == [True, False, False, False, True]


def test_regions_of_the_toy(fine):
    where, label = regions(fine), fine.vertex_label.numpy()
    assert (where.vertex[label == LABEL["nose"]] == NOSE).all()
    assert (where.vertex[label == LABEL["right_brow"]] == SKIN).all()
    assert (where.vertex[(label == LABEL["right_eye"]) & (fine.eyeball.numpy() == 0)] == RIGHT_LID).all()
    assert (where.vertex[fine.eyeball.numpy() == 2] == LEFT_BALL).all()
    assert not where.skin[fine.eyeball.numpy() > 0].any() and len(np.unique(where.piece)) == 3
    assert (where.face != NONE).all()


def test_a_lips_rim_belongs_to_the_lip_it_hangs_on():
    """Where lips touch, labels are mixed up: rows of the upper lip that are labelled lower are the upper lip's."""
    arrays = toy_face(81)
    label = arrays["vertex_label"].reshape(81, 81)
    v = np.linspace(-1, 1, 81)
    columns = np.abs(np.linspace(-1, 1, 81)) < 0.35
    ends = (-0.39, -0.51, -0.56, -0.61, -0.74)
    upper, rim, slit, lower = ((v > b) & (v < a) for a, b in zip(ends, ends[1:], strict=False))
    label[np.abs(v + 0.55) < 0.2] = LABEL["skin"]
    for rows, name in ((upper, "upper_lip"), (rim, "lower_lip"), (slit, "mouth_inside"), (lower, "lower_lip")):
        label[np.ix_(rows, columns)] = LABEL[name]
    where = regions(from_arrays(arrays | {"vertex_label": label.reshape(-1)}))
    vertex = where.vertex.reshape(81, 81)
    middle = np.abs(np.linspace(-1, 1, 81)) < 0.08  # away from the corners, where one cannot say
    assert (vertex[np.ix_(upper | rim, middle)] == UPPER_LIP).all()
    assert (vertex[np.ix_(lower, middle)] == LOWER_LIP).all()
    between = vertex[np.ix_(slit, middle)]  # their back sides go on behind the rims
    assert np.isin(between, (UPPER_LIP, LOWER_LIP)).all()
    assert not where.inner.reshape(81, 81)[np.ix_(slit, middle)].any()


# ---------------------------------------------------------------- the texture


def test_a_texture_is_repainted(source, coarse, carried):
    """Both toys have one UV layout as a function of (u, v): the picture comes out as it was."""
    size = 128
    at = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(at, at[::-1])
    picture = (paint(u, v) * 255).astype(np.uint8)
    known = source.model, source.verts_in("model"), regions(source.model)
    wanted = coarse, carried.verts_in("model"), regions(coarse)
    out = transfer(picture, *known, *wanted, size)
    assert out.shape == (size, size, 3) and out.dtype == np.uint8
    core = np.s_[16:112, 16:112]
    assert np.abs(out.astype(int) - picture)[core].mean() < 4
    colours = np.tile(np.array([[200, 60, 20]], np.uint8), (len(source.model.verts), 1))
    flat = transfer(colours, *known, *wanted, 64)
    assert np.abs(flat[8:-8, 8:-8].astype(int) - (200, 60, 20)).max() <= 1


def test_what_the_source_does_not_have_is_the_models_own_skin(source, coarse):
    far = source.verts_in("model") + (0, 0, 500.0)
    white = np.full((32, 32, 3), 255, np.uint8)
    out = transfer(white, source.model, far, regions(source.model), coarse, source_verts(coarse), regions(coarse), 64)
    centre = out[44, 8].astype(int)  # plain skin
    assert np.abs(centre - np.array([0.75, 0.55, 0.45]) * 255).max() < 4


def source_verts(model):
    return model.verts.double().numpy()


def test_folds_are_found():
    """Two triangles over a line; the tip of the second one is pulled across it."""
    strip = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [9, 9, 0], [9, 8, 0], [8, 9, 0.0]])
    faces = np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5]])
    moved = strip.copy()
    moved[3] = (-0.5, -0.5, 0)
    drawn = np.ones(7, bool)
    assert not folded_vertices(strip, strip, faces, drawn).any()
    assert folded_vertices(strip, moved, faces, drawn).tolist() == [True] * 4 + [False] * 3
    assert not folded_vertices(strip, moved, faces, ~drawn).any()


def test_a_model_with_joints_takes_the_face_too(source):
    """Its offsets are stored at rest and skinned: what is measured is what the result shows."""
    landmarks = {name: toy_face(17)[name] for name in ("landmark_faces", "landmark_bary")}
    arrays = jointed_arrays(pose=False) | landmarks
    model = from_arrays(arrays | {name: 0 * arrays[name] for name in ("identity_basis", "expression_basis")})
    found = convert(source, model)
    after, before = (found.errors[name]["target_to_source"]["median"] for name in ("residual", "components"))
    assert after < 0.4 < 0.6 < before  # triangles of 10 mm
    shown = surface_errors(Shown(source), model, regions(model), found.verts_in("model"))
    assert shown["target_to_source"]["median"] == pytest.approx(after, abs=1e-3)
    rotation, translation = source.pose()
    assert np.abs(found.verts_in("camera") - (found.verts_in("model") @ rotation.T + translation)).max() < 1e-3
    assert found.result.parameters.joints.shape == (1, 5, 3)
