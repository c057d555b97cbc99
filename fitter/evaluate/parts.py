"""Part IoU of fits against label pictures made elsewhere, or what a parser sees (Wang et al. 2024, sec. 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..anatomy.label_maps import CELEBAMASK19, FASSEG, our_labels
from ..anatomy.parts import LABELS, MERGED, PARTS
from ..errors import InputError
from ..fit.result import FitResult
from ..geometry.camera import WindowTransform, project, window_camera
from ..metrics.part_iou import part_iou
from ..output.read_back import Fit

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


def find_labels(fit: Fit, folder: Path, suffix: str | None = None) -> Path:
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


def parts_of_mesh(result: FitResult) -> np.ndarray:
    """(H, W) uint8: the visible parts of the fitted mesh in the photo's pixels, labels 0 to 10."""
    from ..scene.part_picture import render_labels

    return render_labels(result.model, result.verts_in("camera"), result.camera, *result.photo_size)


def parse_window(result: FitResult, size: int = 512) -> WindowTransform:
    """The window that was fitted, in `size` x `size` pixels: where a parser looks."""
    from ..render.view import make_window

    side = result.window.size / float(result.window.scale[0])
    return make_window(tuple(result.window.origin[0].tolist()), side, size)


def parsed_render(result: FitResult, segmenter, window: WindowTransform) -> np.ndarray:
    """The paper's own way to the fit's parts: render it with the mean albedo, and let a parser look at the picture.

    Returns:
        (S, S) uint8 labels as the segmenter gives them.
    Source: Wang et al. 2024, sec. 5.2.
    """
    from ..output.overlay import shading_normals
    from ..render.lighting import shade
    from ..render.view import view
    from ..scene.part_picture import mesh_faces

    faces = mesh_faces(result.model)
    seen = view(result.verts_in("camera"), faces, result.camera, window)
    with torch.no_grad():
        albedo = result.model.albedo_mean[None].float()
        colours = shade(albedo, shading_normals(result), result.parameters.sh)[0].numpy()
    picture = np.where(seen.seen[..., None], seen.interpolate(colours, faces), 0.5).clip(0, 1)
    return segmenter.segment(picture.astype(np.float32), _mesh_landmarks(result, window), window).labels


def parsed_photo(result: FitResult, segmenter, detector, window: WindowTransform) -> np.ndarray:
    """(S, S) uint8: what a parser sees in the photo itself, with the landmarks that the detector finds there."""
    from ..photo.window import sample_window

    ours = _mesh_landmarks(result, window)
    theirs = [window.to_window(torch.from_numpy(f.landmarks)[None])[0].numpy() for f in detector.detect(result.photo)]
    nearest = min(theirs, key=lambda points: np.abs(points - ours).mean(), default=ours)
    image = sample_window(result.photo, window)[0] / 255
    return segmenter.segment(image.astype(np.float32), nearest, window).labels


def _mesh_landmarks(result: FitResult, window: WindowTransform) -> np.ndarray:
    """(478, 2) window pixels."""
    from ..scene.landmarks import contour_choice, project_landmarks

    camera = window_camera(result.camera, window)
    points = torch.from_numpy(result.verts_in("camera")).float()[None]
    with torch.no_grad():
        contour = contour_choice(result.model, project(points, camera))
        return project_landmarks(result.model, points, camera, contour)[0].numpy()


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
