"""The bundled model, data/face_model.npz: what it promises, measured on the file itself."""

import json

import numpy as np
import pytest
import torch
from helpers.rendered_face import person, photograph

from benchmarks.anatomy import TOGETHER, People, measures, poked
from facefit.anatomy import landmarks as points
from facefit.anatomy.landmarks import LANDMARKS, LIPS_INNER
from facefit.anatomy.parts import LABEL
from facefit.bundled import model_path
from facefit.importers.default_head.seen import held_landmarks
from facefit.output.texture import texels

ARKIT = """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight eyeLookOutLeft
eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft
jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft
mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight mouthRollLower
mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft mouthStretchRight
mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut""".split()
MIRROR_X = np.array([-1.0, 1.0, 1.0])
SWAPPED = np.arange(11)  # the label of the mirror image
for part in ("eye", "brow"):
    SWAPPED[[LABEL[f"right_{part}"], LABEL[f"left_{part}"]]] = LABEL[f"left_{part}"], LABEL[f"right_{part}"]


@pytest.fixture(scope="module")
def model(default_model):
    return default_model


@pytest.fixture(scope="module")
def verts(model):
    return model.verts.numpy().astype(float)


@pytest.fixture(scope="module")
def landmarks(model):
    return model.landmarks(model.verts[None])[0].numpy().astype(float)


def shaped(model, **activations):
    expression = torch.zeros(1, model.sizes["expression"])
    for name, amount in activations.items():
        expression[0, model.expression_names.index(name)] = amount
    return model.shape(torch.zeros(1, model.sizes["identity"]), expression)


def eye_centres(model, verts):
    """Of the right and the left eyeball (3,)."""
    weight = model.eyeball_weight.numpy()[:, None]
    return [(weight * verts)[model.eyeball.numpy() == k].sum(0) for k in (1, 2)]


def distance(points, a, b):
    return float(np.linalg.norm(points[a] - points[b]))


def test_the_file_is_small_and_free(model):
    assert model_path().stat().st_size <= 15e6
    assert (
        model.license
        == "CC0-1.0; expressions and people MIT, Copyright (c) 2020 USC Institute for Creative Technologies"
    )
    assert "USC Institute" in json.dumps(model.provenance["people"])
    assert (
        "ICT-FaceKit" in model.provenance["expression"] and "Copyright (c) 2020 USC" in model.provenance["expression"]
    )
    assert model.name and model.version
    text = json.dumps(model.provenance)
    for word in ("MakeHuman", "CC0", "PCA", "seed"):
        assert word in text
    assert 0.99 < model.provenance["identity_variance"] <= 1


def test_sizes(model):
    assert model.sizes["identity"] >= 80 and model.sizes["albedo"] >= 10
    assert 12_000 < len(model.verts) < 25_000
    assert len(model.landmark_faces) == LANDMARKS


def test_the_52_arkit_units_by_name(model):
    assert len(ARKIT) == 52
    assert sorted(model.expression_names) == sorted(ARKIT)
    assert model.activation
    reach = model.expression_basis.norm(dim=2).amax(1)
    for name, value in zip(model.expression_names, reach, strict=True):
        assert 0.5 < value < 50, f"{name} moves {value:.1f} mm"


# ---------------------------------------------------------------- geometry


def test_the_mean_face_is_symmetric(model, verts):
    twin = model.symmetry.numpy()
    assert np.array_equal(twin[twin], np.arange(len(twin)))
    assert np.abs(verts[twin] * MIRROR_X - verts).max() < 1e-3


def test_left_and_right_units_mirror_each_other(model):
    twin = model.symmetry
    for name in model.expression_names:
        if not name.endswith("Left"):
            continue
        left, right = (
            model.expression_basis[model.expression_names.index(n)] for n in (name, name.removesuffix("Left") + "Right")
        )
        difference = (right[twin] * torch.tensor([-1.0, 1, 1]) - left).norm(dim=1)
        assert difference.mean() < 0.1 * left.norm(dim=1).max(), name


def test_axes_and_origin(model, verts, landmarks):
    eyes = eye_centres(model, verts)
    assert np.abs((eyes[0] + eyes[1]) / 2).max() < 0.1  # the origin lies between them
    assert eyes[0][0] < 0 < eyes[1][0]  # the right one at -x
    assert landmarks[152, 1] < -70 and landmarks[10, 1] > 30  # chin down, forehead up
    assert landmarks[:468, 2].argmax() in (1, 4, 44, 274)  # the tip of the nose in front


def test_adult_size(model, verts, landmarks):
    eyes = eye_centres(model, verts)
    assert 58 < np.linalg.norm(eyes[0] - eyes[1]) < 68
    assert 82 < distance(landmarks, 33, 263) < 100  # outer eye corners
    assert 44 < distance(landmarks, 61, 291) < 56  # mouth
    assert 105 < distance(landmarks, 168, 152) < 130  # root of the nose to chin
    head = verts[verts[:, 1] > 20]
    assert 140 < np.ptp(head[:, 0]) < 190 and 170 < np.ptp(head[:, 2]) < 220


def test_people_differ_as_adults_do(model):
    """Interpupillary distance over random identities: NIOSH measured 63.5 on average, 3.8 over men and women."""
    identity = torch.randn(400, model.sizes["identity"], generator=torch.Generator().manual_seed(0))
    balls = [model.eyeball == k for k in (1, 2)]
    right, left = (model.verts[b].mean(0) + identity @ model.identity_basis[:, b].mean(1) for b in balls)
    width = (right - left).norm(dim=1)
    assert 58 < width.mean() < 67 and 1.5 < width.std() < 5


def test_components_come_in_order_and_are_of_one_scale(model):
    strength = model.identity_basis.flatten(1).norm(dim=1)
    assert strength[:10].mean() > 3 * strength[-10:].mean()
    rms = (model.identity_basis.double() ** 2).sum((0, 2)).mean().sqrt()
    assert 3 < rms < 9  # mm: how far a vertex of a random person lies from the mean


def test_faces_look_outwards(model, verts):
    """The volume inside is positive and as large as a head; no triangle of the face's front looks inwards."""
    corner = verts[model.faces.numpy()]
    volume = (corner[:, 0] * np.cross(corner[:, 1], corner[:, 2])).sum() / 6
    assert 2.5e6 < volume < 6e6  # mm^3
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = np.linalg.norm(normal, axis=1)
    assert (area > 1e-6).mean() > 0.999
    label = model.vertex_label.numpy()[model.faces.numpy()]
    skin = (label == LABEL["skin"]).all(1) & (np.abs(corner.mean(1)[:, 0]) < 35) & (corner.mean(1)[:, 1] > -70)
    assert (normal[skin, 2] > 0).mean() > 0.97


def test_every_vertex_and_index_is_used(model):
    assert len(torch.unique(model.faces)) == len(model.verts)
    assert len(torch.unique(model.uv_faces)) == len(model.uv)


# ---------------------------------------------------------------- teeth, eyes, lids


@pytest.fixture(scope="module")
def found(model):
    people = People(model, 20)
    with torch.no_grad():
        return measures(model, people)


def test_teeth_lie_behind_the_lips_of_everybody(found):
    below, behind = found["incisors below the upper lip's edge, mm"], found["incisors behind it, mm"]
    assert ((below > 1) & (below < 4)).mean() >= 0.95 and ((behind > 2) & (behind < 8)).mean() >= 0.95


def test_eyes_have_an_adults_size(found, model, verts):
    assert np.abs(found["eyeball across, mm"] - 24).max() < 0.5
    assert found["iris across, mm"].item() == pytest.approx(11.7, abs=0.4)
    white = model.albedo_mean.numpy()[(model.eyeball.numpy() == 1) & (verts[:, 2] > -2) & (verts[:, 2] < 8)]
    assert 0.6 < np.median(white) < 0.78  # not white


def test_a_blink_closes_every_pair_of_everybody(found):
    assert found["widest gap of the lids at a whole blink, mm"].max() <= 0.3
    assert np.abs(found["mean gap at half a blink, % of the open eye's"] - 50).max() < 5


def test_the_mouth_opens_closes_and_narrows(found):
    assert (found["the same, mouthPucker 1"] < 0.85 * found["mouth's width at rest, mm"]).all()
    assert (found["the same, smile 1"] > 1.1 * found["mouth's width at rest, mm"]).all()
    assert (found["the same, jawOpen 1"] > 25).all() and (found["the same, mouthFunnel 1"] > 8).all()
    shut = found["the same, jawOpen 1 and mouthClose 1"] - found["opening of the lips at rest, mm"]
    assert np.abs(shut).max() < 1


def test_nothing_comes_through_the_skin(model):
    """The mouth's lining is a bag of its own under the skin of chin and cheeks."""
    shown = {"rest": {}, "jaw": {"jawOpen": 0.5}, "kiss": {"mouthPucker": 1.0}} | TOGETHER
    assert poked(model, People(model, 3), shown) == []


# ---------------------------------------------------------------- texture coordinates


def test_texture_coordinates_fill_the_square_and_do_not_overlap(model):
    uv, faces = model.uv.numpy().astype(float), model.uv_faces.numpy()
    assert uv.min() >= 0 and uv.max() <= 1
    a, b, c = (uv[faces[:, k]] for k in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert -area[area < 0].sum() < 1e-3 * np.abs(area).sum()
    assert np.abs(area).sum() > 0.7
    covered = (texels(model, 1024)[0] >= 0).mean()  # texels under two triangles count once here, and twice above
    assert np.abs(area).sum() == pytest.approx(covered, rel=1e-3)


def test_the_face_gets_more_texels_than_the_back_of_the_head(model, verts):
    uv, faces = model.uv.numpy().astype(float), model.faces.numpy()
    a, b, c = (uv[model.uv_faces.numpy()[:, k]] for k in range(3))
    texels = 0.5 * np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    corner = verts[faces]
    area = 0.5 * np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    label = model.vertex_label.numpy()[faces]
    face, back = (label == LABEL["nose"]).all(1), (corner.mean(1)[:, 2] < -80)
    assert texels[face].sum() / area[face].sum() > 2 * texels[back].sum() / area[back].sum()


# ---------------------------------------------------------------- parts and landmarks


def test_every_part_has_vertices_and_its_twin_as_many(model):
    count = np.bincount(model.vertex_label.numpy(), minlength=11)
    assert count[0] == 0 and (count[1:] >= 20).all()
    for name in ("eye", "brow"):
        assert count[LABEL[f"right_{name}"]] == pytest.approx(count[LABEL[f"left_{name}"]], rel=0.02)
    label = model.vertex_label.numpy()
    assert (SWAPPED[label[model.symmetry.numpy()]] == label).mean() > 0.999
    weight = model.part_weight.numpy()
    assert np.abs(weight.sum(1) - 1).max() < 0.02
    assert np.abs(weight[model.symmetry.numpy()][:, SWAPPED] - weight).mean() < 1e-3


def test_parts_lie_where_they_belong(model, verts, landmarks):
    label = model.vertex_label.numpy()

    def middle(name):
        return verts[label == LABEL[name]].mean(0)

    assert middle("right_eye")[0] < -20 and middle("left_eye")[0] > 20
    assert middle("right_brow")[1] > middle("right_eye")[1] + 8
    assert middle("upper_lip")[1] > middle("lower_lip")[1]
    assert np.linalg.norm(middle("nose") - landmarks[[1, 4, 195]].mean(0)) < 15
    assert (label[model.eyeball.numpy() == 1] == LABEL["right_eye"]).all()
    assert (label[model.eyeball.numpy() == 2] == LABEL["left_eye"]).all()


def test_landmarks_mirror_and_lie_on_their_parts(model, landmarks):
    assert np.allclose(model.landmark_bary.sum(1), 1, atol=1e-5) and (model.landmark_bary >= 0).all()
    assert np.linalg.norm(landmarks - landmarks[points.MIRROR] * MIRROR_X, axis=1).max() < 0.5
    loops = points.RIGHT_EYE, points.LEFT_EYE, points.LIPS_OUTER, points.FACE_OVAL
    for loop, width in zip(loops, (32, 32, 50, 150), strict=True):
        assert 0.7 * width < np.ptp(landmarks[list(loop), 0]) < 1.3 * width
    assert 55 < landmarks[points.LANDMARKS7[3], 0] - landmarks[points.LANDMARKS7[0], 0] < 110
    nearest = model.vertex_label.numpy()[model.faces.numpy()[model.landmark_faces.numpy()]]
    nose = (nearest[[1, 4, 5, 195, 197]] == LABEL["nose"]).any(1)
    lips = np.isin(nearest[[0, 17, 37, 267]], (LABEL["upper_lip"], LABEL["lower_lip"])).any(1)
    assert nose.all() and lips.all()


def test_inner_lips_lie_on_the_lips_and_not_in_the_mouth(landmarks):
    """Looked at with an open mouth, the corners are one pixel from what lies three centimetres behind."""
    for inner, outer in ((78, 61), (308, 291)):
        assert distance(landmarks, inner, outer) < 8
    assert np.ptp(landmarks[list(LIPS_INNER), 2]) < 18


def test_contour_rows(model, verts):
    rows = model.contour_rows.numpy()
    assert len(rows) >= 20 and ((rows >= 0).sum(1) >= 3).all()
    assert set(model.contour_landmarks.tolist()) <= set(points.FACE_OVAL)
    for row in rows:
        used = row[row >= 0]
        assert len(np.unique(used)) == len(used)
        assert (np.diff(verts[used, 2]) < 1.0).all()  # from front to back


def test_the_calibration_is_a_covariance_and_symmetric(model):
    yaw, bias = model.landmark_yaw.numpy(), model.landmark_bias.numpy()
    covariance = model.landmark_covariance.numpy().astype(float)
    assert (np.diff(yaw) > 0).all() and yaw[0] == -yaw[-1] and len(yaw) >= 5
    values = np.linalg.eigvalsh(covariance)
    assert values.min() > 0.01 and values.max() < 900  # mm^2
    flip = np.array([-1, 1])
    assert np.allclose(covariance[::-1][:, points.MIRROR] * np.outer(flip, flip), covariance, atol=1e-3)
    assert np.allclose(bias[::-1][:, points.MIRROR] * flip, bias, atol=1e-3)
    # landmarks lie where people have them, but for those on edges of lids and lips and on the contour, which marches
    front = np.setdiff1d(np.arange(LANDMARKS), [*held_landmarks(), *points.FACE_OVAL])
    assert np.sqrt((bias[len(yaw) // 2, front] ** 2).sum(1).mean()) < 0.45  # mm
    # what is sharp in a picture is known better than a hidden contour
    spread = np.sqrt(values.sum(2) / 2)
    middle = len(yaw) // 2
    assert np.median(spread[middle, list(points.RIGHT_EYE)]) < 0.7 * np.median(spread[middle, list(points.FACE_OVAL)])


# ---------------------------------------------------------------- expressions


@pytest.mark.parametrize(("side", "upper", "lower"), [("Right", 159, 145), ("Left", 386, 374)])
def test_a_blink_closes_the_lids_of_its_eye(model, landmarks, side, upper, lower):
    closed = model.landmarks(shaped(model, **{f"eyeBlink{side}": 1.0}))[0].numpy()
    assert distance(closed, upper, lower) < 0.3 * distance(landmarks, upper, lower)
    other = (386, 374) if side == "Right" else (159, 145)
    assert distance(closed, *other) == pytest.approx(distance(landmarks, *other), abs=0.2)


def test_nothing_of_the_eyeball_is_seen_behind_closed_lids(model):
    """In a picture and not by landmarks: a line is left, the lids' margins, which are labelled with the eye."""
    open_eyes, closed = (
        photograph(model, person(model, eyeBlinkLeft=amount, eyeBlinkRight=amount)).labels[0] for amount in (0.0, 1.0)
    )
    for name in ("right_eye", "left_eye"):
        before, after = ((labels == LABEL[name]).sum() for labels in (open_eyes, closed))
        assert before > 80 and after < 0.15 * before


def test_the_jaw_opens_the_mouth_and_shows_its_inside(model, landmarks):
    opened = model.landmarks(shaped(model, jawOpen=1.0))[0].numpy()
    assert distance(opened, 13, 14) > 25 + distance(landmarks, 13, 14)
    assert opened[152, 1] < landmarks[152, 1] - 15 and abs(opened[10, 1] - landmarks[10, 1]) < 1
    shut, wide = (photograph(model, person(model, jawOpen=amount)).labels[0] for amount in (0.0, 0.8))
    inside = LABEL["mouth_inside"]
    assert (wide == inside).sum() > 200 > (shut == inside).sum()
    assert distance(landmarks, *(LIPS_INNER[0], LIPS_INNER[10])) > 35


def test_a_smile_raises_the_corner_on_its_side(model, landmarks):
    smile = model.landmarks(shaped(model, mouthSmileLeft=1.0))[0].numpy()
    assert smile[291, 1] > landmarks[291, 1] + 3 and abs(smile[61, 1] - landmarks[61, 1]) < 2


def test_gaze_turns_eyeballs_about_their_centres(model):
    zero = torch.zeros(1, model.sizes["identity"]), torch.zeros(1, model.sizes["expression"])
    gaze = torch.tensor([[[0.2, 0.0], [0.2, 0.0]]])
    before, after = model.shape(*zero)[0], model.shape(*zero, gaze)[0]
    assert torch.allclose(before[model.eyeball == 0], after[model.eyeball == 0], atol=1e-4)
    for eye, centre in enumerate(eye_centres(model, before.numpy()), 1):
        ball = model.eyeball == eye
        radii = [np.linalg.norm(verts[ball].numpy() - centre, axis=1) for verts in (before, after)]
        assert np.allclose(*radii, atol=1e-3) and np.ptp(radii[0]) < 1.5  # a sphere with a cornea
        front = before[ball, 2].argmax()
        assert (after[ball][front] - before[ball][front])[0] > 1.5  # positive yaw looks to the subject's left, +x


# ---------------------------------------------------------------- colours


def test_colours_are_those_of_a_face(model):
    mean, label = model.albedo_mean.numpy(), model.vertex_label.numpy()
    assert mean.min() > 0 and mean.max() < 1
    skin = mean[label == LABEL["skin"]].mean(0)
    lips = mean[np.isin(label, (LABEL["upper_lip"], LABEL["lower_lip"]))].mean(0)
    brow = mean[np.isin(label, (LABEL["right_brow"], LABEL["left_brow"]))].mean(0)
    assert skin[0] > skin[1] > skin[2] and brow.mean() < 0.8 * skin.mean()
    assert lips[0] / lips[1] > skin[0] / skin[1]  # redder


def test_tones_from_light_to_dark_are_within_reach(model):
    skin = model.vertex_label == LABEL["skin"]
    mean = model.albedo_mean[skin].mean(0)
    basis = model.albedo_basis[:, skin].mean(1)
    for tone in ((0.87, 0.70, 0.62), (0.36, 0.22, 0.15), (0.63, 0.45, 0.34)):
        rest = torch.tensor(tone) - mean
        weights = torch.linalg.lstsq(torch.cat([basis.T, 0.02 * torch.eye(len(basis))]),
                                     torch.cat([rest, torch.zeros(len(basis))])).solution  # fmt: skip
        assert (weights @ basis - rest).abs().max() < 0.06 and weights.norm() < 4
