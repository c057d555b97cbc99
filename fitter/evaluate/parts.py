"""Part IoU of fits against label pictures made elsewhere, or what a parser sees (Wang et al. 2024, sec. 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..anatomy.label_maps import CELEBAMASK19, FASSEG, our_labels
from ..anatomy.parts import LABELS, MERGED, PARTS
from ..errors import InputError
from ..geometry.camera import WindowTransform, window_camera
from ..metrics.part_iou import part_iou
from ..observe.faces import LandmarkDetector
from ..observe.segment.contract import PartSegmenter
from ..output.read_back import FitFile
from ..photo.window import sample_window
from ..render.view import make_window
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene

# What can be scored. `eyes`, `brows`, `lips`, `mouth`: what some data do not tell apart.
_SCORED = (*LABELS[1:10], *MERGED, "hair")

# What the numbers of a label picture mean.
LABEL_MAPS: dict[str, dict[int, str]] = {
    name: {number: part for number, part in enumerate(names) if part in _SCORED}
    for name, names in (("facefit", LABELS[:10]), ("fasseg", FASSEG), ("celebamask19", CELEBAMASK19))
}

_LABEL_SUFFIXES = ("_label", "_labels", "_parts", "")  # the bare name last: it may be the photo


def parse_label_map(text: str) -> dict[int, str]:
    """A name of LABEL_MAPS, or "3:nose,4:eyes,5:mouth" -> number -> part.

    Raises:
        ValueError: neither; the message says what is accepted.
    """
    if text in LABEL_MAPS:
        return LABEL_MAPS[text]
    out: dict[int, str] = {}
    for item in text.split(","):
        number, colon, name = item.strip().partition(":")
        if not colon or not number.isdecimal() or int(number) > 255 or name not in _SCORED:
            raise ValueError(
                f"label map {text!r}: {item!r}; accepted: {', '.join(LABEL_MAPS)}, or NUMBER:PART,... with the parts "
                f"{', '.join(_SCORED)}"
            )
        out[int(number)] = name
    return out


def scored_parts(label_map: dict[int, str]) -> tuple[str, ...]:
    """The parts, single and merged, that labels of this map can be scored for."""
    named = set(label_map.values())
    merged = [name for name, members in MERGED.items() if name in named or set(members) <= named]
    return (*(name for name in PARTS if name in named), *merged)


def to_labels(picture: np.ndarray, label_map: dict[int, str]) -> np.ndarray:
    """(H, W) numbers of another data set -> (H, W) uint8 numbers of facefit.anatomy.parts.LABELS.

    A merged part becomes its first member, which is right for the merged score (and only for that: `scored_parts`).
    """
    table = np.zeros(256, np.uint8)
    table[list(label_map)] = our_labels(tuple(label_map.values()))
    return table[picture]


def find_labels(fit: FitFile, folder: Path, suffix: str | None = None) -> Path:
    """The label picture of a fit: `folder`/NAME[suffix].png, NAME the photo's stem, the fit's name or its last part.

    Args:
        suffix: None tries "_label", "_labels", "_parts" and none.
    Raises:
        InputError: there is none, or it would be the fit's own (the same file).
    """
    stems = [fit.name, fit.path.stem]
    if fit.photo is not None:
        stems.insert(0, fit.photo.stem)
    suffixes = _LABEL_SUFFIXES if suffix is None else (suffix,)
    own = {fit.photo.resolve()} if fit.photo is not None else set()
    for stem in stems:
        for end in suffixes:
            path = folder / f"{stem}{end}.png"
            if path.is_file() and path.resolve() not in own:  # the photo itself is no label picture
                return path
    raise InputError(f"{fit.path}: no label picture in {folder}; looked for {stems[0]}{{{','.join(suffixes)}}}.png")


def segment_window(fitted: WindowTransform, size: int = 512) -> WindowTransform:
    """The window that was fitted, in `size` x `size` pixels: where a parser looks."""
    return make_window(tuple(fitted.origin[0].tolist()), fitted.size / float(fitted.scale[0]), size)


def segmented_render(scene: Scene, segmenter: PartSegmenter, window: WindowTransform) -> np.ndarray:
    """The paper's own way to the fit's parts: render it with the mean albedo, and let a parser look at the picture.

    Returns:
        (S, S) uint8 labels as the segmenter gives them.
    Source: Wang et al. 2024, sec. 5.2.
    """
    seen = scene.view(window)
    with torch.no_grad():
        colours = scene.colours(scene.model.albedo_mean[None].float())[0].numpy()
    picture = np.where(seen.seen[..., None], seen.interpolate(colours, mesh_faces(scene.model)), 0.5).clip(0, 1)
    return segmenter.segment(picture.astype(np.float32), _mesh_landmarks(scene, window), window).labels


def segmented_photo(
    scene: Scene, photo: np.ndarray, segmenter: PartSegmenter, detector: LandmarkDetector, window: WindowTransform
) -> np.ndarray:
    """(S, S) uint8: what a parser sees in the photo (H, W, 3) itself, with the landmarks that the detector finds
    there nearest to those of the scene."""
    ours = _mesh_landmarks(scene, window)
    theirs = [window.to_window(torch.from_numpy(f.landmarks)[None])[0].numpy() for f in detector.detect(photo)]
    nearest = min(theirs, key=lambda points: np.abs(points - ours).mean(), default=ours)
    image = sample_window(photo, window)[0] / 255
    return segmenter.segment(image.astype(np.float32), nearest, window).labels


@torch.no_grad()
def _mesh_landmarks(scene: Scene, window: WindowTransform) -> np.ndarray:
    """(478, 2) window pixels."""
    return replace(scene, camera=window_camera(scene.camera, window)).landmarks()[0].numpy()


def score_parts(
    predicted: np.ndarray, numbers: np.ndarray, label_map: dict[int, str], ignore: Sequence[int] = (),
    skip_absent: bool = False,
) -> dict[str, float | None]:  # fmt: skip
    """Part IoU of one fit.

    Args:
        predicted: (H, W) facefit.anatomy.parts.LABELS. numbers: (H, W) of the data set.
        ignore: numbers whose pixels do not count, such as hair over the face.
        skip_absent: leave out a part that the labels lack, instead of scoring it 0 where the fit shows it.
    """
    valid = ~np.isin(numbers, ignore) if len(ignore) else None
    scores = part_iou(predicted, to_labels(numbers, label_map), valid=valid, target_only=skip_absent)
    return {name: scores[name] for name in scored_parts(label_map)}
