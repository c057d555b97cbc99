"""Looking at renders: a pixel leads back to the surface point it shows, and votes come together where they should."""

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays

from facefit.anatomy.landmarks import FACE_OVAL, LANDMARKS, LIPS_INNER, MIRROR
from facefit.anatomy.parts import LABEL
from facefit.geometry.rotation import rotation_matrix
from facefit.geometry.triangles import vertex_normals
from facefit.importers.annotate import annotate_landmarks, annotate_parts, to_rims
from facefit.importers.contour import contour_rows
from facefit.importers.photograph import (
    BACKGROUND,
    DISTANCE,
    FOCAL,
    PICTURE,
    Subject,
    photograph,
    surface_points,
    turned,
)
from facefit.observe.faces import DetectedFace
from facefit.observe.segment.contract import Segmentation

ARRAYS = toy_arrays(rows=33, columns=33)
VERTS, FACES = ARRAYS["verts"].astype(float), ARRAYS["faces"].astype(int)
SYMMETRY = ARRAYS["symmetry"]
SUBJECT = Subject(VERTS, ARRAYS["albedo_mean"].astype(float))


def known_points():
    """478 points on the front of the toy: some surface points, kept away from its border and from steep places."""
    rng = np.random.default_rng(0)
    facing = vertex_normals(VERTS, FACES)[FACES].mean(1)[:, 2] > 0.6
    inner = (np.abs(VERTS[FACES].mean(1)[:, :2]) < [45, 60]).all(1)
    face = rng.choice(np.flatnonzero(facing & inner), LANDMARKS)
    bary = rng.dirichlet((3, 3, 3), LANDMARKS)
    return (VERTS[FACES[face]] * bary[..., None]).sum(1)


POINTS = known_points()
MIDDLE = [0.0, -25.0, 30.0]  # what `photograph` puts into the middle of the picture


class Projector:
    """A detector that knows the answer: it is told each view and projects the known points into it."""

    def __init__(self, points=POINTS, noise=0.0, blind=()):
        self.points, self.noise, self.blind, self.views = points, noise, blind, []
        self.calls = 0
        self.rng = np.random.default_rng(1)

    def expect(self, **view):
        self.views.append(view)
        return view

    def detect(self, image):
        rotation = turned(self.views[self.calls]["yaw"])
        self.calls += 1
        if self.calls - 1 in self.blind:
            return []
        at = (self.points - MIDDLE) @ rotation.T - [0, 0, DISTANCE]
        pixels = PICTURE / 2 + FOCAL * PICTURE * at[:, :2] / -at[:, 2:] * [1, -1]
        pixels = pixels + self.noise * self.rng.standard_normal(pixels.shape)
        return [DetectedFace(pixels.astype(np.float32), np.zeros(LANDMARKS, np.float32), 0.9)]


def views(detector, *yaws):
    out = []
    for yaw in yaws:
        for opened in (False, True):
            out.append((SUBJECT, detector.expect(yaw=yaw, opened=opened)))
    return out


def test_turned_is_yaw_then_pitch_then_roll():
    assert np.allclose(turned(90) @ [0, 0, 1], [1, 0, 0], atol=1e-12)  # the nose to the viewer's right
    assert np.allclose(turned(0, 90) @ [0, 0, 1], [0, -1, 0], atol=1e-12)  # the nose down
    assert np.allclose(turned(0, 0, 90) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    assert np.allclose(turned(20, 10, 5), turned(0, 0, 5) @ turned(0, 10) @ turned(20))
    one = rotation_matrix(torch.tensor([[0.0, np.radians(20), 0.0]], dtype=torch.float64))[0].numpy()
    assert np.allclose(turned(20), one)


def test_a_photograph_shows_the_subject_before_a_plain_wall():
    picture = photograph(SUBJECT, FACES, yaw=15, size=160)
    covered = picture.rast[..., 3] > 0
    assert 0.1 < covered.mean() < 0.8 and covered[80, 80]
    wall = (BACKGROUND * 255 + 0.5).astype(np.uint8)
    assert (picture.image[~covered] == wall).all()
    assert picture.image.dtype == np.uint8 and picture.yaw == 15
    assert np.allclose(np.linalg.norm(picture.normals, axis=1), 1, atol=1e-6)


def test_a_turned_subject_shows_its_other_side():
    """The nose to the viewer's right: the subject's right cheek faces the camera."""
    centre = VERTS[FACES].mean(1)[:, 0]
    for yaw, side in ((-40, 1), (40, -1)):
        seen = photograph(SUBJECT, FACES, yaw=yaw, size=160).rast[..., 3].astype(int) - 1
        x = centre[seen[seen >= 0]]
        assert (x * side > 0).mean() > 0.6


def test_the_side_towards_the_light_is_brighter():
    grey = Subject(VERTS, np.full_like(VERTS, 0.6))
    picture = photograph(grey, FACES, light=(1, 0, 0.5), size=160)
    covered = picture.rast[..., 3] > 0
    column = np.arange(160)[None].repeat(160, 0)
    image = picture.image[..., 0].astype(float)
    assert image[covered & (column > 90)].mean() > image[covered & (column < 70)].mean() + 20


@pytest.mark.parametrize("yaw", [0, 30, -30])
def test_pixels_lead_back_to_the_surface(yaw):
    picture = photograph(SUBJECT, FACES, yaw=yaw)
    seen = picture.pixels[(picture.normals[:, 2] > 0.5)]
    face, bary = surface_points(seen, picture.rast)
    assert (face >= 0).mean() > 0.9
    back = (VERTS[FACES[face]] * bary[..., None]).sum(1)
    wanted = VERTS[picture.normals[:, 2] > 0.5]
    # half a pixel at this distance is 0.3 mm; slanted surfaces stretch it
    assert np.median(np.linalg.norm(back - wanted, axis=1)[face >= 0]) < 0.6


def test_outside_the_mesh_or_the_picture_there_is_no_surface():
    picture = photograph(SUBJECT, FACES, size=160)
    face, _ = surface_points(np.array([[0.5, 0.5], [-3.0, 80.0], [80.0, 1e6]]), picture.rast)
    assert face.tolist() == [-1, -1, -1]


def test_a_point_beside_the_rim_of_a_hole_goes_to_the_rim():
    """A board with a hole before a wall: next to the rim, inside the hole, one sees the wall 30 mm behind."""
    x, wide = np.array([-60, -10, 10, 60.0]), (-90.0, 90.0)
    verts = np.array([[a, b, 0.0] for b in x - 25 for a in x] + [[a, b, -30.0] for b in wide for a in wide])
    cells = [4 * j + i for j in range(3) for i in range(3) if (i, j) != (1, 1)]
    quads = [(k, k + 1, k + 5, k + 4) for k in cells]
    quads.append((16, 17, 19, 18))
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    picture = photograph(Subject(verts, np.full_like(verts, 0.5)), faces)
    corner = picture.pixels[5]  # of the hole
    inside = np.array([corner + [1.2, -1.2], corner + [15, -15], corner + [-20, 20], [2.0, 2.0]])
    face, _ = surface_points(inside, picture.rast)
    assert face[0] >= len(faces) - 2 and face[1] >= len(faces) - 2 and face[2] < len(faces) - 2 and face[3] == -1
    moved = to_rims(inside, picture, faces)
    assert np.abs(moved[0] - inside[0]).max() <= 3
    assert surface_points(moved[:1], picture.rast)[0][0] < len(faces) - 2  # the board
    assert np.array_equal(moved[1:], inside[1:])  # in the middle of the hole, on the board, beside all: stays


# ---------------------------------------------------------------- landmarks


def test_landmarks_come_back_to_their_places():
    detector = Projector()
    face, bary = annotate_landmarks(VERTS, FACES, views(detector, 0, -10, 10), detector)
    assert np.allclose(bary.sum(1), 1) and (bary >= 0).all()
    found = (VERTS[FACES[face]] * bary[..., None]).sum(1)
    error = np.linalg.norm(found - POINTS, axis=1)
    assert error.mean() < 0.5 and error.max() < 1.0  # mm


def test_one_wrong_look_does_not_drag_them():
    detector = Projector()
    looks = views(detector, 0, -8, 8, 4, -4)
    honest = detector.detect

    def lying(image):
        (found,) = honest(image)
        return [DetectedFace(found.landmarks + 12, found.depth, 0.9)] if detector.calls in (1, 2) else [found]

    detector.detect = lying
    face, bary = annotate_landmarks(VERTS, FACES, looks, detector)
    found = (VERTS[FACES[face]] * bary[..., None]).sum(1)
    assert np.linalg.norm(found - POINTS, axis=1).mean() < 1.5  # the lie is 7 mm


def test_views_without_a_face_are_passed_over():
    detector = Projector(blind=(0, 1))
    face, bary = annotate_landmarks(VERTS, FACES, views(detector, 0, 6), detector)
    found = (VERTS[FACES[face]] * bary[..., None]).sum(1)
    assert np.linalg.norm(found - POINTS, axis=1).max() < 1.5


def test_a_landmark_that_is_never_seen_is_an_error():
    detector = Projector(blind=(1,))  # the only view with the mouth open
    with pytest.raises(ValueError, match=str(sorted(LIPS_INNER)[0])):
        annotate_landmarks(VERTS, FACES, views(detector, 0), detector)


def test_symmetric_when_asked_for():
    """Noise of the detector falls on both sides alike, and the mean of both is better than either."""
    points = (POINTS + POINTS[MIRROR] * [-1, 1, 1]) / 2
    points[MIRROR == np.arange(LANDMARKS), 0] = 0
    near = np.linalg.norm(VERTS[:, None] - points[None], axis=2).min(0) < 8  # the mean of two random points may not be
    found = []
    for symmetry in (None, SYMMETRY):
        detector = Projector(points, noise=1.0)
        face, bary = annotate_landmarks(VERTS, FACES, views(detector, 0, 5, -5), detector, symmetry)
        found.append((VERTS[FACES[face]] * bary[..., None]).sum(1))
    skew = [np.linalg.norm(f - f[MIRROR] * [-1, 1, 1], axis=1)[near].mean() for f in found]
    assert skew[1] < 0.1 < 0.3 < skew[0]


# ---------------------------------------------------------------- parts


class Painter:
    """A segmenter that says what it sees: the colour of each pixel is its label."""

    def segment(self, image, landmarks, window=None):
        code = np.rint(image[..., 0] * 255 / 15).astype(np.uint8)
        return Segmentation(np.where(image[..., 1] > 0.5, 0, code), np.ones(image.shape[:2], np.float32))


class Always:
    def detect(self, image):
        return [DetectedFace(np.zeros((LANDMARKS, 2), np.float32), np.zeros(LANDMARKS, np.float32), 0.9)]


@pytest.fixture
def unlit(monkeypatch):
    """Colours as they are: the light is taken out, so that the fake segmenter can read them."""
    from facefit.importers import annotate, photograph

    for module in (annotate, photograph):
        monkeypatch.setattr(module, "vertex_normals", lambda verts, faces: np.full_like(verts, -1.0))
    return annotate


def test_parts_come_back_to_their_vertices(unlit):
    label = ARRAYS["vertex_label"].astype(int)
    colours = np.zeros_like(VERTS)
    colours[:, 0] = label * 15 / 255 / 0.55  # the ambient light is 0.55
    looks = [(Subject(VERTS, colours), {"yaw": yaw}) for yaw in (0, -20, 20)]
    labels = [LABEL[n] for n in ("skin", "nose", "right_eye", "left_eye", "upper_lip", "lower_lip")]
    share = annotate_parts(len(VERTS), FACES, looks, Always(), Painter(), labels)
    assert share.shape == (len(VERTS), 6) and (share >= 0).all() and (share.sum(1) <= 1 + 1e-9).all()
    # vertices all of whose neighbours carry the same label: there the answer is not a matter of borders
    same = np.ones(len(VERTS), bool)
    for f in FACES:
        if len(set(label[f].tolist())) > 1:
            same[f] = False
    front = VERTS[:, 2] > -20
    sure = same & front & np.isin(label, labels)
    assert sure.sum() > 100
    assert (np.array(labels)[share[sure].argmax(1)] == label[sure]).mean() > 0.98


def test_votes_are_mirrored_and_swapped(unlit):
    """Seen from one side only, both sides get their label, right and left exchanged."""
    label = ARRAYS["vertex_label"].astype(int)
    colours = np.zeros_like(VERTS)
    colours[:, 0] = label * 15 / 255 / 0.55
    looks = [(Subject(VERTS, colours), {"yaw": 35})]
    labels = [LABEL["right_eye"], LABEL["left_eye"], LABEL["skin"]]
    swap = {LABEL["right_eye"]: LABEL["left_eye"], LABEL["left_eye"]: LABEL["right_eye"]}
    share = annotate_parts(len(VERTS), FACES, looks, Always(), Painter(), labels, SYMMETRY, swap)
    assert np.allclose(share[:, 0], share[SYMMETRY][:, 1]) and np.allclose(share[:, 2], share[SYMMETRY][:, 2])
    # colours mix along the border of the other eye, and a mix may read as this one
    assert share[VERTS[:, 0] < 0, 0].max() > 0.9 and share[VERTS[:, 0] > 5, 0].max() < 0.4


def test_what_is_never_seen_has_no_votes():
    class Nobody:
        def detect(self, image):
            return []

    share = annotate_parts(len(VERTS), FACES, [(SUBJECT, {})], Nobody(), Painter(), [1, 2])
    assert share.shape == (len(VERTS), 2) and not share.any()


# ---------------------------------------------------------------- contour


def test_contour_rows_run_from_front_to_back_and_only_where_allowed():
    landmarks = np.zeros((LANDMARKS, 3))
    landmarks[[1, 10, 152]] = [0, 0, 15], [0, 80, -10], [0, -80, -10]
    for k, angle in zip(FACE_OVAL, np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False), strict=True):
        direction = np.array([np.sin(angle), np.cos(angle)])
        ring = VERTS[:, :2] @ direction
        near = np.abs(VERTS[:, :2] @ [direction[1], -direction[0]]) < 6
        candidates = np.flatnonzero(near & (ring > 30) & (ring < 60))
        landmarks[k] = VERTS[candidates[ring[candidates].argmax()]]
    allowed = VERTS[:, 0] > -30
    rows, numbers = contour_rows(VERTS, FACES, landmarks, allowed, per_row=9)
    assert rows.shape == (len(numbers), 9) and set(numbers) <= set(FACE_OVAL) and len(numbers) > 10
    for row, number in zip(rows, numbers, strict=True):
        used = row[row >= 0]
        assert len(used) > 0 and (row[len(used) :] == -1).all()
        assert allowed[used].all()
        assert (np.diff(VERTS[used, 2]) <= 1e-9).all()  # front to back
        if landmarks[number, 0] > -15:
            assert np.linalg.norm(VERTS[used] - landmarks[number], axis=1).min() < 12
