"""A detector with known faults, calibrated on renders: the faults come back as bias and covariance."""

import numpy as np
import pytest
import torch
from helpers.toy_model import toy_arrays

from facefit.anatomy.landmarks import LANDMARKS, MIRROR
from facefit.geometry.camera import Camera, project
from facefit.importers import calibrate
from facefit.importers.calibrate import YAW_BINS, calibrate_detector, random_expression
from facefit.importers.photograph import FOCAL, PICTURE
from facefit.model.model_file import from_arrays
from facefit.observe.faces import DetectedFace

# ---------------------------------------------------------------- expressions


@pytest.fixture(scope="module")
def names(default_model):
    return default_model.expression_names


@pytest.fixture(scope="module")
def expressions(names):
    rng = np.random.default_rng(0)
    return np.stack([random_expression(names, rng) for _ in range(300)])


def test_expressions_are_a_few_activations_at_a_time(names, expressions):
    assert expressions.shape == (300, len(names))
    assert expressions.min() >= 0 and expressions.max() <= 1
    active = (expressions > 0.02).sum(1)
    assert active.min() == 0 and np.median(active) < 12
    assert (expressions.max(0) > 0.1).sum() > 0.8 * len(names)  # in the long run nearly all occur


def test_both_sides_do_mostly_the_same(names, expressions):
    left, right = (expressions[:, names.index(f"mouthSmile{side}")] for side in ("Left", "Right"))
    assert np.corrcoef(left, right)[0, 1] > 0.9 and not np.array_equal(left, right)


def test_eyes_close_and_mouths_open_often_enough(names, expressions):
    assert (expressions[:, names.index("eyeBlinkLeft")] > 0.5).mean() > 0.1
    assert (expressions[:, names.index("jawOpen")] > 0.3).mean() > 0.1


def test_unknown_names_are_no_problem():
    rng = np.random.default_rng(1)
    assert random_expression(("smile", "frown"), rng).shape == (2,)


# ---------------------------------------------------------------- the detector


class FaultyDetector:
    """Sees every landmark of the last photographed person, off by a bias that is symmetric, and by noise.

    Near 60 degrees of yaw it is worse: the calibration shall say so.
    """

    def __init__(self, model, monkeypatch, bias, noise, wild=0.0):
        self.model, self.bias, self.noise, self.wild = model, bias, noise, wild
        self.rng = np.random.default_rng(3)
        real = calibrate.photograph

        def photograph(subject, faces, yaw, *rest):
            self.picture = real(subject, faces, yaw, *rest[:3], 32, *rest[4:])  # nobody looks at the picture itself
            self.yaw = yaw
            return self.picture

        monkeypatch.setattr(calibrate, "photograph", photograph)

    def detect(self, image):
        from facefit.scene.landmarks import contour_choice, project_landmarks

        camera = Camera(torch.full((1, 2), FOCAL * PICTURE), torch.full((1, 2), PICTURE / 2))
        points = torch.from_numpy(self.picture.points).float()[None]
        truth = project_landmarks(self.model, points, camera, contour_choice(self.model, project(points, camera)))[0]
        per_pixel = -self.picture.points[:, 2].mean() / (FOCAL * PICTURE)
        error = self.bias + self.noise * (1 + (abs(self.yaw) > 45)) * self.rng.standard_normal((LANDMARKS, 2))
        if self.rng.random() < self.wild:
            error = error + 13 * self.rng.standard_normal((LANDMARKS, 2)).clip(-1, 1)
        if self.rng.random() < 0.1:
            return []
        pixels = truth.numpy() + error / per_pixel
        return [DetectedFace(pixels.astype(np.float32), np.zeros(LANDMARKS, np.float32), 0.9)]


@pytest.fixture(scope="module")
def toy():
    return from_arrays(toy_arrays())


def symmetric_bias():
    bias = np.random.default_rng(5).normal(0, 1.5, (LANDMARKS, 2))
    return (bias + bias[MIRROR] * [-1, 1]) / 2


@pytest.fixture(scope="module")
def calm(toy):
    """Of a detector that errs by `symmetric_bias()` and 1 mm."""
    with pytest.MonkeyPatch.context() as patch:
        return calibrate_detector(toy, FaultyDetector(toy, patch, symmetric_bias(), 1.0), renders=220)


def test_bias_and_spread_come_back(calm):
    bias = symmetric_bias()
    yaw, found, covariance = calm
    assert yaw.tolist() == YAW_BINS.tolist()
    assert found.shape == (7, LANDMARKS, 2) and covariance.shape == (7, LANDMARKS, 2, 2)
    middle = yaw.tolist().index(0)
    assert np.abs(found[middle] - bias).mean() < 0.25
    spread = np.sqrt(np.linalg.eigvalsh(covariance.astype(float)))
    assert spread[middle].mean() == pytest.approx(0.95, abs=0.25)  # of 1 mm; robust weights take a little away
    assert spread[0].mean() > 1.4 * spread[middle].mean()  # worse in profile
    assert np.abs(covariance[..., 0, 1]).mean() < 0.3


def test_left_and_right_are_mirror_images(toy, monkeypatch):
    _, bias, covariance = calibrate_detector(toy, FaultyDetector(toy, monkeypatch, symmetric_bias(), 1.0), renders=40)
    flip = np.array([-1, 1])
    assert np.allclose(bias[::-1][:, MIRROR] * flip, bias, atol=1e-4)
    assert np.allclose(covariance[::-1][:, MIRROR] * np.outer(flip, flip), covariance, atol=1e-4)


def test_single_wild_detections_do_not_count(toy, calm, monkeypatch):
    wild = calibrate_detector(toy, FaultyDetector(toy, monkeypatch, symmetric_bias(), 1.0, wild=0.06), renders=120)
    plain = 0.06 * 13**2 * 0.5  # what an ordinary covariance would grow by, about
    grown = np.trace(wild[2][3], axis1=1, axis2=2).mean() - np.trace(calm[2][3], axis1=1, axis2=2).mean()
    assert grown < 0.4 * plain


def test_the_same_seed_gives_the_same_numbers(toy, monkeypatch):
    one, two = (
        calibrate_detector(toy, FaultyDetector(toy, monkeypatch, symmetric_bias(), 1.0), renders=12, seed=4)
        for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_statistical_expressions_and_jaws_vary_too():
    from helpers.toy_model import jointed_arrays

    from facefit.importers.calibrate import draw_expression, random_joints
    from facefit.model.model_file import from_arrays

    model = from_arrays(jointed_arrays() | {"expression_kind": np.str_("gaussian")})
    rng = np.random.default_rng(0)
    rows = np.stack([draw_expression(model, rng) for _ in range(200)])
    assert rows.shape == (200, 3) and rows.min() < -0.5 and rows.std() == pytest.approx(0.7, abs=0.1)
    turns = np.stack([random_joints(model, rng).numpy()[0] for _ in range(100)])
    assert turns[:, 2, 0].min() == 0 and 0.1 < turns[:, 2, 0].max() < 1  # jaws open and do not bite through the head
    assert not np.delete(turns, 2, axis=1).any() and not turns[:, 2, 1:].any()
