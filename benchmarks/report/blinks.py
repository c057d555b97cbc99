"""Closed eyes and winks with exact masks: the people of `ict_synthetic`, their lids moved, rendered anew.

Each pixel of the new picture looks up the point of the surface that it shows in the person's original picture, so
skin, light and background stay what they were and only the lids move. Skin that the original hides in the lid's fold is
filled in from around it. The labels come the same way; an eye is what the closing lids leave free of the ball.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from skimage.restoration import inpaint_biharmonic

from benchmarks.dataset import Case
from facefit.files.outputs import write_files
from facefit.files.picture_bytes import png_bytes
from facefit.geometry.camera import Camera
from facefit.render.view import View, make_window, view

# Name -> how far the right and the left lid are closed. At 1 the model's lids touch and no eyeball shows: there is
# nothing left that an overlap could be taken of.
BLINKS = {"narrowed": (0.7, 0.7), "wink_right": (0.8, 0.0), "wink_left": (0.0, 0.8)}
SET = "blinks"
_LIDS = ("eyeBlink_R", "eyeBlink_L")
_OTHER = ("eyeWide_R", "eyeSquint_R", "eyeWide_L", "eyeSquint_L")
_HIDDEN = 1.5  # mm behind what the original shows: the original does not show this point
_SKIN = 1
# The model's lids are thin and its corneas stand out: on some people the iris would show through a closed lid.
_SINK = 3.0  # mm that the balls of a closing eye lie deeper


@dataclass(frozen=True)
class Person:
    """One person of `ict_synthetic`.

    Attributes:
        verts: (V, 3) mm; faces: (F, 3); lids: (2, V, 3) mm, full closing of the right and left lid.
        ball: (V,) bool, vertices of the eyeballs. weights: of the expression that verts holds.
        picture: (S, S, 3) uint8; labels: (S, S) uint8 as the set writes them.
        rotation, translation: model -> camera with y down and z forward. camera: of the picture.
    """

    name: str
    verts: np.ndarray
    faces: np.ndarray
    lids: np.ndarray
    others: np.ndarray
    ball: np.ndarray
    weights: dict[str, float]
    picture: np.ndarray
    labels: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    camera: Camera

    def in_camera(self, verts: np.ndarray) -> np.ndarray:
        """(V, 3) camera space as in facefit.geometry.camera: y up, looking along -z."""
        return (verts @ self.rotation.T + self.translation) * (1, -1, -1)

    def closed(self, right: float, left: float) -> np.ndarray:
        """(V, 3) mm with the lids closed so far; what else opened or narrowed a closing eye is taken back."""
        verts = self.verts.copy()
        for side, wanted in enumerate((right, left)):
            if wanted > 0:
                verts += (wanted - self.weights.get(_LIDS[side], 0.0)) * self.lids[side]
                for number in (2 * side, 2 * side + 1):
                    verts -= self.weights.get(_OTHER[number], 0.0) * self.others[number]
        return verts


def make_blinks(data: Path, out: Path) -> list[Case]:
    """Write the pictures to `out`/blinks (those that are there already stay) and return their cases.

    Args:
        data: folder of `ict_synthetic` and `ict_facekit.npz`.
    Raises:
        FileNotFoundError: they are absent.
    """
    source, folder = data / "ict_synthetic", out / SET
    found = [path.name.removesuffix("_parts.png") for path in sorted(source.glob("*_parts.png"))]
    if not found or not (data / "ict_facekit.npz").is_file():
        raise FileNotFoundError(f"{source} or {data / 'ict_facekit.npz'} is absent")
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for place, name in enumerate(found):
        kinds = [list(BLINKS)[0], list(BLINKS)[1 + place % 2]]
        missing = [kind for kind in kinds if not (folder / f"{name}_{kind}_parts.png").is_file()]
        person = read_person(data, name) if missing else None
        for kind in kinds:
            stem = f"{name}_{kind}"
            if kind in missing:
                picture, labels = closed_picture(person, *BLINKS[kind])
                files = {
                    folder / f"{stem}.png": png_bytes(picture),
                    folder / f"{stem}_parts.png": png_bytes(labels),  # last: it says that the picture is whole
                }
                write_files(files)
            about = json.loads((source / f"{name}.json").read_text())
            cases.append(
                Case(SET, stem, folder / f"{stem}.png", kind, folder / f"{stem}_parts.png", focal=about["K"][0][0])
            )
    return cases


def read_person(data: Path, name: str) -> Person:
    about = json.loads((data / "ict_synthetic" / f"{name}.json").read_text())
    with np.load(data / "ict_synthetic" / f"{name}.npz", allow_pickle=False) as own:
        verts = own["verts"].astype(np.float64)
    faces, lids, others, ball = _face_kit(data / "ict_facekit.npz")
    picture = iio.imread(data / "ict_synthetic" / about["image"], mode="RGB")
    labels = iio.imread(data / "ict_synthetic" / about["parts"], mode="L")
    k = np.array(about["K"])
    camera = Camera(torch.tensor([[k[0, 0], k[1, 1]]]).float(), torch.tensor([[k[0, 2], k[1, 2]]]).float())
    rotation, translation = np.array(about["R"]), np.array(about["t"])
    return Person(
        name, verts, faces, lids, others, ball, about["expression"], picture, labels, rotation, translation, camera
    )


@functools.lru_cache(maxsize=1)
def _face_kit(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Faces, lids, others and ball, as in Person."""
    with np.load(path, allow_pickle=False) as model:
        names = [str(item) for item in model["expression_names"]]
        shapes, scale = model["expression"], float(model["mm_per_unit"])
        lids, others = (
            np.stack([shapes[names.index(name)].astype(np.float64) * scale for name in which])
            for which in (_LIDS, _OTHER)
        )
        ball = np.zeros(shapes.shape[1], bool)
        for part, (first, last) in zip(model["part_names"], model["part_ranges"], strict=True):
            if str(part).startswith(("sclera", "iris")):
                ball[first:last] = True
        return model["faces"].astype(np.int64), lids, others, ball


def closed_picture(person: Person, right: float, left: float) -> tuple[np.ndarray, np.ndarray]:
    """(S, S, 3) uint8 RGB and (S, S) uint8 labels of the person with the lids closed so far (0 open, 1 closed)."""
    size = len(person.picture)
    before = person.in_camera(person.verts)
    after = person.in_camera(person.closed(right, left))
    moved = np.linalg.norm(after - before, axis=1) > 0.02
    for side, shut in ((person.verts[:, 0] < 0, right), (person.verts[:, 0] >= 0, left)):
        if shut > 0:
            after[person.ball & side, 2] -= _SINK
    fine = _look_up(person, before, after, moved, 2 * size)
    colours, changed, hidden, _ = fine
    colours = 255 * inpaint_biharmonic(colours / 255, hidden, split_into_regions=True, channel_axis=-1).clip(0, 1)
    base = np.asarray(Image.fromarray(person.picture).resize((2 * size, 2 * size), Image.Resampling.BICUBIC))
    both = np.where(changed[..., None], colours, base).astype(np.float32)
    small = both.reshape(size, 2, size, 2, 3).mean((1, 3)).round().astype(np.uint8)
    touched = changed.reshape(size, 2, size, 2).any((1, 3))
    picture = np.where(touched[..., None], small, person.picture)
    _, changed, hidden, source = _look_up(person, before, after, moved, size)
    labels = person.labels.copy()
    labels[changed] = source[changed]
    labels[changed & hidden] = _SKIN
    return picture, labels


def _look_up(person: Person, before: np.ndarray, after: np.ndarray, moved: np.ndarray, size: int):
    """Per pixel of the new view: colour, whether it may differ from the original, whether the original hides it, label.

    Labels are 3 or 4 on the eyeballs by the side of the face, and skin on lid that covers what was eyeball.
    """
    whole = make_window((0.0, 0.0), len(person.picture), size)
    old, new = (view(verts, person.faces, person.camera, whole) for verts in (before, after))
    changed = _touches(old, moved, person.faces) | _touches(new, moved, person.faces)
    was = new.interpolate(before, person.faces)  # where the point that is seen now was before
    depth = np.maximum(-was[..., 2], 1.0)
    focal, centre = (value[0].numpy() for value in (person.camera.focal, person.camera.centre))
    at = np.moveaxis(was[..., :2] * (1, -1) / depth[..., None] * focal + centre, -1, 0)[::-1]  # row, column
    colours = [
        ndimage.map_coordinates(channel, at - 0.5, np.float32, order=3, mode="nearest")
        for channel in np.moveaxis(person.picture, -1, 0)
    ]
    colours = np.stack(colours, -1).round().clip(0, 255).astype(np.uint8)
    nearest = ndimage.map_coordinates(person.labels, at - 0.5, order=0, mode="nearest")
    known = np.where(np.isfinite(old.depth), old.depth, 1e6)
    seen_depth = ndimage.map_coordinates(known, at * size / len(person.picture) - 0.5, order=0, mode="constant")
    on_ball = (new.interpolate(person.ball[:, None].astype(np.float32), person.faces)[..., 0] > 0.5) & new.seen
    was_ball = np.isin(nearest, (3, 4))
    hidden = changed & new.seen & ((depth > seen_depth + _HIDDEN) | (was_ball & ~on_ball))
    labels = np.where(was_ball & ~on_ball, _SKIN, nearest)
    model_x = new.interpolate(person.verts, person.faces)[..., 0]
    labels = np.where(on_ball & ~was_ball & np.isin(nearest, (_SKIN,)), np.where(model_x < 0, 3, 4), labels)
    return colours, changed & new.seen, hidden, labels.astype(np.uint8)


def _touches(seen: View, moved: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return moved[faces].any(1)[seen.face] & seen.seen


def closing(case: Case) -> tuple[str, ...]:
    """The parts of a case that close, as in facefit.anatomy.parts.PARTS."""
    right, left = BLINKS[case.group]
    return tuple(name for name, shut in (("right_eye", right), ("left_eye", left)) if shut > 0)
