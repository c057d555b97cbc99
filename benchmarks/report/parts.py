"""Part IoU beyond `benchmarks.scoring`: of eyes that close, against clean masks, and of the masks themselves.

Where a fit is bad, three overlaps say why: of the mesh with the truth, of what the segmenter saw with the truth, and of
the mesh with what the segmenter saw.
"""

from __future__ import annotations

import numpy as np

from benchmarks.dataset import Case, read_labels
from benchmarks.report.eyes import closing_eyes, eye_polygons
from facefit.anatomy.parts import INNER, LABEL, MERGED, PARTS
from facefit.fit.result import FitResult
from facefit.metrics.part_iou import part_iou
from facefit.observe.observation import Observation
from facefit.scene.part_picture import render_labels

MEASURED = (*PARTS, *MERGED)


def mesh_labels(result: FitResult) -> np.ndarray:
    """(H, W) uint8: the mesh's visible parts in the photo's pixels."""
    width, height = result.photo_size
    return render_labels(result.model, result.verts_in("camera"), result.camera, width, height)


def part_figures(case: Case, result: FitResult, clean: Observation) -> dict[str, float]:
    """`closed_iou`, `closed_area` (pixels of the mesh's eyes by the truth's) and `closed_pixels` where a case has eyes
    that close and the truth of them is known; `clean_iou`, the mesh against what was seen before it was spoilt."""
    seen = mesh_labels(result)
    out = {"clean_iou": _clean_iou(seen, clean)}
    eyes = closing_eyes(case)
    if not eyes:
        return out
    truth = read_labels(case) if case.labels is not None else eye_polygons(case, seen.shape)
    scores = part_iou(seen, truth, target_only=True)
    found = [scores[name] for name in eyes if scores[name] is not None]
    known = [LABEL[name] for name in eyes if scores[name] is not None]
    if found:
        out["closed_iou"] = float(np.mean(found))
        out["closed_area"] = float(np.isin(seen, known).sum() / np.isin(truth, known).sum())
    out["closed_pixels"] = float(np.isin(seen, [LABEL[name] for name in eyes]).sum())
    out["closed_target"] = float(np.isin(truth, [LABEL[name] for name in eyes]).sum())
    return out


def _clean_iou(seen: np.ndarray, clean: Observation) -> float:
    """The mean over the seven inner parts, in the fitted window."""
    from facefit.photo.window import sample_labels

    scores = part_iou(sample_labels(seen, clean.window), _mask_labels(clean), target_only=True)
    found = [scores[name] for name in INNER if scores[name] is not None]
    return float(np.mean(found)) if found else float("nan")


def _mask_labels(observation: Observation) -> np.ndarray:
    """(S, S) uint8 of the eight parts."""
    masks = observation.part_masks[0, : len(PARTS)].numpy()
    numbers = np.array([LABEL[name] for name in PARTS], np.uint8)
    return np.where(masks.max(0) > 0.5, numbers[masks.argmax(0)], 0).astype(np.uint8)


def mask_figures(case: Case, result: FitResult) -> dict[str, float]:
    """`mask_PART`: the segmenter's part against the truth; `fit_PART`: the mesh against the segmenter's part, both in
    the fitted window; `outline_PART`: the detector's outlines of the part against the truth; `hidden`: the share of
    the face that hair, glasses or something else covers."""
    from facefit.observe.segment.polygons import PolygonSegmenter
    from facefit.photo.window import sample_labels

    observation = result.observation
    seen = _mask_labels(observation)
    masks = observation.part_masks[0].numpy()
    hidden = masks[len(PARTS) :].max(0) > 0.5
    face = masks[: len(PARTS)].max(0) > 0.5
    mesh = sample_labels(mesh_labels(result), observation.window)
    out = {"hidden": float((hidden & (mesh > 0) & (mesh < LABEL["head"])).sum() / max(1, face.sum()))}
    own = part_iou(mesh, seen, target_only=True)
    out |= {f"fit_{name}": own[name] for name in MEASURED if own[name] is not None}
    if case.labels is None:
        return out
    truth = sample_labels(read_labels(case), observation.window)
    points = observation.landmarks[0].numpy()
    outline = PolygonSegmenter().segment(observation.image[0].numpy(), points, observation.window).labels
    for kind, labels in (("mask", seen), ("outline", outline)):
        scores = part_iou(labels, truth, target_only=True)
        out |= {f"{kind}_{name}": scores[name] for name in MEASURED if scores[name] is not None}
    return out
