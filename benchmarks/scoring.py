"""What one fit is worth: its figures against the case's known answers, as a flat dictionary of numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from benchmarks.dataset import Case, Scan, read_labels, read_scan
from benchmarks.reference import CLASSES, script
from facefit.anatomy.landmarks import CHIN, LANDMARKS7, OUTER_EYE_CORNERS
from facefit.anatomy.parts import INNER, LABEL, MERGED, PARTS
from facefit.energies.landmark import calibrated_precision
from facefit.evaluate.identity import face_vertices
from facefit.fit.result import FitResult
from facefit.geometry.camera import project, window_camera
from facefit.metrics.landmark_error import landmark_error
from facefit.metrics.part_iou import part_iou
from facefit.metrics.scan_distance import scan_error
from facefit.metrics.verification import rigid_distances
from facefit.model.face_model import FaceModel
from facefit.render import load_renderer
from facefit.scene.scene import Scene
from facefit.scene.silhouette import outline_points

FASSEG_PARTS = ("nose", "eyes", "mouth", "brows", "skin")
DIVERGED = 0.10  # corrected landmark error beyond which a fit counts as diverged: nobody's face is found there
# where cheeks take over from the skull: parts of the eye distance below the middle of the eyes, towards the chin
CHEEKS = 0.25


def score(case: Case, result: FitResult, reference: Path | None = None) -> dict[str, float | str]:
    """Figures of one fit.

    Args:
        reference: folder of independent metric scripts (scan_error.py, part_iou.py) to compute the same figures with.
    Returns:
        landmark_error, landmark_corrected, diverged (0 or 1), status, iterations, identity and expression size,
        to_mean, outline*, seconds_*, energy_*, and, where the case knows the truth, scan_similarity and scan_rigid
        (median, mm), iou_PART and iou. A figure that does not exist is left out.
    """
    values = result.parameters
    finite = all(bool(torch.isfinite(tensor).all()) for tensor in values.tensors().values())
    finite &= all(math.isfinite(value) for value in result.energies.values()) and math.isfinite(result.landmark_error)
    corrected = corrected_landmark_error(result) if finite else math.nan
    out: dict[str, float | str] = {
        "status": result.status,
        "landmark_error": result.landmark_error,
        "diverged": float(not corrected <= DIVERGED),
        "iterations": float(max(len(result.trace) - 1, 0)),  # the first record is the start
        "identity_rms": float(values.identity.square().mean().sqrt()),
        "to_mean": to_mean(result),
        "expression_sum": float(values.expression.abs().sum()),
        "yaw_degrees": math.degrees(math.atan2(*(result.pose()[0][[0, 2], 2]))),
        "distance_mm": float(-values.translation[0, 2]),
        "focal": float(result.camera.focal[0, 0]),
    }
    if finite:
        out |= {"landmark_corrected": corrected, **outline_figures(result)}
    out |= {f"seconds_{name}": float(value) for name, value in result.seconds.items()}
    out |= {f"energy_{name}": float(value) for name, value in result.energies.items()}
    own = {name: value for name, value in result.part_iou.items() if value is not None}
    out |= {f"self_{name}": value for name, value in own.items()}
    if any(name in own for name in INNER):
        out["self_iou"] = float(np.mean([own[name] for name in INNER if name in own]))
    if not finite:
        return out
    if case.scan is not None:
        mesh = (result.verts, result.model.faces.cpu().numpy(), result.landmarks7)
        out |= scan_figures(*mesh, read_scan(case.scan), reference)
    if case.labels is not None:
        seen = result.scene.picture_of_parts(*result.photo_size)
        out |= label_figures(case, seen, reference)
    return out


@torch.no_grad()
def corrected_landmark_error(result: FitResult) -> float:
    """Landmark error, by the distance of the eyes, without what the detector is known to be off by at this head's yaw.

    On a full profile that is most of it: 10 % of an eye distance that is foreshortened, 8 % of it the detector's own.
    """
    model, observation = result.model, result.observation
    camera = window_camera(result.camera, observation.window)
    scene = Scene(model, result.parameters, camera, observation.size)
    scale = -scene.surface()[..., 2].mean(1) / camera.focal.mean(1)
    calibration = model.landmark_yaw, model.landmark_bias, model.landmark_covariance
    bias, _ = calibrated_precision(scene.yaw(), *calibration, scale)
    return float(landmark_error(scene.landmarks() + bias, observation.landmarks, observation.landmark_confidence))


@torch.no_grad()
def outline_figures(result: FitResult) -> dict[str, float]:
    """How far the mesh ends from where the parser sees the face end, in parts of the eye distance.

    Returns:
        `outline`, the mean distance over jaw and cheeks, `outline_signed` with its sign, negative where the mesh is too
        small; the same of `outline_cheeks` (against the background) and `outline_jaw` (against the neck) alone, and of
        `outline_skull`, all above the eyes, where no hair hides it. What fewer than four points show is left out.
    """
    seen, size = result.observation.outline, result.observation.size
    camera = window_camera(result.camera, result.observation.window)
    scene = Scene(result.model, result.parameters, camera, size, load_renderer("cpu"))
    mesh = outline_points(scene, seen)
    across = ((project(mesh.on(scene.surface()), camera) - seen[..., :2]) * seen[..., 2:4]).sum(-1)[0]
    landmarks = result.observation.landmarks
    right, left = (landmarks[0, corner] for corner in OUTER_EYE_CORNERS)
    eyes, below = (right - left).norm(), of_cheeks(seen[0], landmarks[0])
    found, neck = mesh.found[0] > 0, seen[0, :, 5] > 0
    out = {}
    for name, of in {
        "outline": below, "outline_cheeks": below & ~neck, "outline_jaw": below & neck, "outline_skull": ~below,
    }.items():  # fmt: skip
        distance = across[of & found] / eyes.clamp_min(1e-9)
        if len(distance) >= 4:
            out |= {name: float(distance.abs().mean()), f"{name}_signed": float(distance.mean())}
    return out


def of_cheeks(outline: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """(M,) bool: the points (M, 6) of an outline that are of cheeks and jaw, not of the skull; landmarks (478, 2)."""
    right, left = (landmarks[corner] for corner in OUTER_EYE_CORNERS)
    middle = (right + left) / 2
    down = landmarks[CHIN] - middle
    return (outline[:, :2] - middle) @ down > CHEEKS * (right - left).norm() * down.norm()


@torch.no_grad()
def to_mean(result: FitResult) -> float:
    """RMS distance of the neutral face to the model's mean face, laid on it without scaling, mm: whether everybody gets
    the same face."""
    model, face = result.model, face_vertices(result.model)
    neutral = model.shape(result.parameters.identity, torch.zeros_like(result.parameters.expression))[0]
    return float(rigid_distances(torch.stack([model.verts, neutral]).numpy()[:, face])[0, 1])


def scan_figures(
    verts: np.ndarray, faces: np.ndarray, landmarks7: np.ndarray, scan: Scan, reference: Path | None = None
) -> dict[str, float]:
    """Median distance of the scan's oval to the mesh after each alignment, mm; `scan_scale` is what the similarity
    found: a mesh that is too small has more than 1."""
    out = {}
    for align in ("similarity", "rigid"):
        truth = (scan.verts, scan.faces, scan.landmarks7, scan.region)
        figures = scan_error(verts, faces, landmarks7, *truth, align=align)
        out[f"scan_{align}"] = figures["median"]
        if align == "similarity":
            out["scan_mean"], out["scan_scale"] = figures["mean"], figures["scale"]
        if reference is not None:
            known = dict(verts=scan.verts, faces=scan.faces, landmarks7=scan.landmarks7, region_oval=scan.region)
            module = script(reference, "scan_error")
            out[f"scan_{align}_reference"] = module.evaluate(verts, faces, landmarks7, known, align, "oval")["median"]
    return out


def mean_face_figures(model: FaceModel, scan: Scan) -> dict[str, float]:
    """The same for the model's mean face: what no fit at all is worth."""
    with torch.no_grad():
        landmarks7 = model.landmarks(model.verts[None])[0, list(LANDMARKS7)]
    return scan_figures(
        model.verts.cpu().double().numpy(), model.faces.cpu().numpy(), landmarks7.cpu().double().numpy(), scan
    )


def label_figures(case: Case, seen: np.ndarray, reference: Path | None = None) -> dict[str, float]:
    """Part IoU of a label picture of the mesh against the case's, only of parts that the case's labels hold.

    `iou` is the mean of nose, eyes and mouth (fasseg), or of the seven parts inside the face. `area_PART` is the part's
    pixels in the mesh's picture by those in the labels: it tells a part that is drawn too small from one out of place.
    """
    truth = read_labels(case)
    scores = part_iou(seen, truth, target_only=True)
    names = FASSEG_PARTS if case.set == "fasseg" else PARTS
    headline = ("nose", "eyes", "mouth") if case.set == "fasseg" else INNER
    out = {f"iou_{name}": scores[name] for name in names if scores[name] is not None}
    for name in names:
        if scores[name] is not None:
            numbers = [LABEL[member] for member in MERGED.get(name, (name,))]
            out[f"area_{name}"] = float(np.isin(seen, numbers).sum() / np.isin(truth, numbers).sum())
    found = [scores[name] for name in headline if scores[name] is not None]
    if found:
        out["iou"] = float(np.mean(found))
    if reference is not None and found:
        out["iou_reference"] = _reference_iou(case, seen, reference)
    return out


def _reference_iou(case: Case, seen: np.ndarray, reference: Path) -> float:
    module = script(reference, "part_iou")
    classes, numbers = CLASSES[case.set]
    raw = module.read(str(case.labels))
    return module.iou(module.compare(numbers[seen], raw, classes, gt_only=True)[0], True)[1]
