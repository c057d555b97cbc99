"""How far off the landmark detector is: its bias and covariance per landmark and head yaw, measured on random people of
the model itself, whose true landmarks are known. The landmark energy becomes a Mahalanobis distance with it."""

from __future__ import annotations

import logging

import numpy as np
import torch

from ..anatomy.landmarks import MIRROR
from ..geometry.camera import Camera, project
from ..model.face_model import FaceModel
from ..observe.faces import LandmarkDetector
from ..scene.landmarks import contour_choice, project_landmarks
from .photograph import DISTANCE, FOCAL, PICTURE, Subject, photograph

logger = logging.getLogger(__name__)

YAW_BINS = np.array([-60.0, -40.0, -20.0, 0.0, 20.0, 40.0, 60.0], np.float32)
BANDWIDTH = 12.0  # degrees, of the Gaussian that says how much a render counts for a bin
RENDERS = 360
GAUSSIAN_SPREAD = 0.7  # standard deviations, of expression components: photos show mild ones more often


def random_expression(names: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """(E,) activations: a few units at a time, mostly the same on both sides, as faces do."""
    out = np.zeros(len(names))
    number = {n: i for i, n in enumerate(names)}
    stems = sorted({n.removesuffix("Left").removesuffix("Right") for n in names if n != "tongueOut"})
    for stem in rng.choice(stems, min(len(stems), int(rng.integers(0, 6))), replace=False):
        strength = rng.beta(1.2, 2.0)
        if stem == "mouthClose":  # closes an opened jaw; alone it is no expression
            strength *= 0.1
        for side in ("", "Left", "Right"):
            if stem + side in number:
                out[number[stem + side]] = np.clip(strength * (1 + 0.2 * rng.standard_normal()), 0, 1)
    if rng.random() < 0.3 and "jawOpen" in number:
        out[number["jawOpen"]] = rng.beta(1.2, 2.0)
    if rng.random() < 0.2:
        for side in ("Left", "Right"):
            if f"eyeBlink{side}" in number:
                out[number[f"eyeBlink{side}"]] = rng.uniform(0.5, 1.0)
    return out


def random_joints(model: FaceModel, rng: np.random.Generator) -> torch.Tensor | None:
    """(1, J, 3) radians: every other jaw open, by its prior's spread; None for a model without joints."""
    if model.skeleton is None:
        return None
    joints = torch.zeros(1, model.sizes["joints"], 3)
    for index in model.skeleton.turned:
        if model.skeleton.names[index] == "jaw" and rng.random() < 0.5:
            joints[0, index, 0] = abs(float(rng.normal(0, float(model.skeleton.spread()[index, 0]))))
    return joints


def draw_expression(model: FaceModel, rng: np.random.Generator) -> np.ndarray:
    """(E,): activations as faces show them, or components of a statistical model, mildly."""
    if model.activation:
        return random_expression(model.expression_names, rng)
    return GAUSSIAN_SPREAD * rng.standard_normal(model.sizes["expression"])


def calibrate_detector(
    model: FaceModel, detector: LandmarkDetector, renders: int = RENDERS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Render random people, detect, compare.

    Returns:
        yaw (Y,) degrees, bias (Y, 478, 2) mm, covariance (Y, 478, 2, 2) mm^2, of detection - truth in the image plane
        (x right, y down). The face is taken as symmetric: each render also counts mirrored.
    """
    rng = np.random.default_rng(seed)
    faces = model.faces.numpy()
    camera = Camera(torch.full((1, 2), FOCAL * PICTURE), torch.full((1, 2), PICTURE / 2))
    yaws: list[float] = []
    found_errors: list[np.ndarray] = []
    for _ in range(renders):
        identity = torch.from_numpy(rng.standard_normal((1, model.sizes["identity"]))).float()
        expression = torch.from_numpy(draw_expression(model, rng)[None]).float()
        gaze = torch.from_numpy(rng.normal(0, 0.12, (1, 1, 2))).float().repeat(1, 2, 1)
        verts = model.shape(identity, expression, gaze, random_joints(model, rng))[0].numpy()
        tint = 0.8 * torch.from_numpy(rng.standard_normal((1, model.sizes["albedo"]))).float()
        colours = model.albedo(tint)[0].numpy().clip(0.02, 1)
        yaw, pitch, roll = rng.uniform(-65, 65), rng.normal(0, 12), rng.normal(0, 6)
        light = rng.normal(0, 0.7, 3) + [0, 0.3, 1.2]
        distance = DISTANCE * rng.uniform(0.8, 1.6)
        picture = photograph(Subject(verts, colours), faces, yaw, pitch, roll, light, PICTURE, distance)
        found = detector.detect(picture.image)
        if not found:
            continue
        points = torch.from_numpy(picture.points).float()[None]
        pixels = project(points, camera)
        truth = project_landmarks(model, points, camera, contour_choice(model, pixels))[0].numpy()
        scale = -picture.points[:, 2].mean() / (FOCAL * PICTURE)  # mm per pixel
        error = (found[0].landmarks - truth) * scale
        if np.median(np.linalg.norm(error, axis=1)) > 15:  # found something else
            continue
        yaws += [yaw, -yaw]
        found_errors += [error, error[MIRROR] * [-1, 1]]
    errors = np.stack(found_errors)
    spread = np.sqrt(errors.var(0).sum(1))
    logger.info(
        "calibration: %d of %d renders; spread of a landmark: median %.2f mm, best %.2f, worst %.2f",
        len(yaws) // 2, renders, np.median(spread), spread.min(), spread.max(),
    )  # fmt: skip
    bias, covariance = [], []
    for centre in YAW_BINS:
        weight = np.exp(-0.5 * ((np.array(yaws) - centre) / BANDWIDTH) ** 2)
        b, c = _moments(errors, weight)
        bias.append(b)
        covariance.append(c)
    return YAW_BINS, np.stack(bias).astype(np.float32), np.stack(covariance).astype(np.float32)


def _moments(errors: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and covariance with Cauchy weights, three rounds: single wild detections do not count."""
    w = np.repeat(weight[:, None], errors.shape[1], 1)
    for _ in range(3):
        total = w.sum(0)
        bias = (w[..., None] * errors).sum(0) / total[:, None]
        offset = errors - bias
        covariance = np.einsum("nl,nlx,nly->lxy", w, offset, offset) / total[:, None, None]
        covariance += 0.05 * np.eye(2)
        distance = np.einsum("nlx,lxy,nly->nl", offset, np.linalg.inv(covariance), offset)
        w = weight[:, None] / (1 + distance / 8)
    return bias, covariance
