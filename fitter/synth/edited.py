"""A photo of somebody with another expression: the fitted face moved, and laid into its photo.

What moves is taken from the photo where that shows it, pixel by pixel, with the light that its new direction has. What
it does not show, lids that were folded, teeth and the inside of the mouth, comes from the fit's texture, which fills
them. Hair, glasses and hands stay before the face: the parser says where they are.

Source: Wang et al. 2024, sec. 3.5, who have a GAN make such pictures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from ..anatomy.parts import LABEL
from ..compute.smoothstep import smoothstep
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..output.lids import closed_lids
from ..output.texture import picture, unwrapped
from ..render.harmonics import sh_basis
from ..render.lighting import vertex_normals
from ..render.view import View, make_window, view
from ..scene.part_picture import mesh_faces, part_labels
from ..scene.scene import Scene
from .expressions import with_expression

TEXTURE = 1024  # pixels a side, of what the photo does not show
_BEFORE = [LABEL[name] for name in ("hair", "glasses", "occluder")]
_OVER = [LABEL[name] for name in ("hair", "occluder")]  # where these were is left to the photo
_STAYS = 0.4  # pixels: what moves less is left as it is in the photo
_HIDDEN = 2.0  # mm behind what is seen: another surface
_EDGE = 2.5  # pixels over which the new face fades into the photo at its outline
_RELIT = (0.6, 1.5)  # of the light before, at the most
_PARTS = LABEL["head"]  # labels below are parts of the face


@dataclass(frozen=True)
class Edited:
    """A photo with another expression.

    Attributes:
        picture: (H, W, 3) uint8. labels: (H, W) uint8 of facefit.anatomy.parts.LABELS.
        landmarks: (478, 2) float32 photo pixels: the detected ones, moved with the mesh.
        scene: the face as it is now.
    """

    picture: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    scene: Scene


def edited(
    result: FitResult, labels: np.ndarray, landmarks: np.ndarray, wanted: str, rng: np.random.Generator
) -> Edited:
    """The photo of a fit with one of facefit.synth.expressions.NAMED, but any and neutral.

    Args:
        result: of the photo, with a model that has ARKit's face units.
        labels: (H, W) of the photo, as the parser has them. landmarks: (478, 2) as they were detected.
    """
    before = result.scene
    names = result.model.expression_names
    moved = with_expression(wanted, names, before.parameters.expression[0].numpy(), rng)
    parameters = replace(before.parameters, expression=torch.from_numpy(moved)[None])
    after = replace(before, parameters=parameters)
    verts_before, verts_after = (each.verts_in("camera").astype(np.float64) for each in (before, after))
    box = _window(verts_before, verts_after, before, labels.shape)
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    window = make_window((float(left), float(top)), float(side), side)
    faces = mesh_faces(result.model)
    was, now = (view(verts, faces, before.camera, window) for verts in (verts_before, verts_after))
    rows, columns = slice(0, bottom - top), slice(0, right - left)

    place = now.interpolate(verts_before, faces)
    focal, centre = (value[0].double().numpy() for value in (before.camera.focal, before.camera.centre))
    depth = np.maximum(-place[..., 2], 1.0)
    source = centre + focal * place[..., :2] * (1, -1) / depth[..., None] - (left, top)  # window pixels
    column, row = source[..., 0] - 0.5, source[..., 1] - 0.5
    y, x = np.mgrid[:side, :side]
    shift = np.where(now.seen, np.hypot(column - x, row - y), 0)

    photo = np.zeros((side, side, 3), np.float32)
    photo[rows, columns] = result.photo[top:bottom, left:right] / np.float32(255)
    own = np.zeros((side, side), np.uint8)
    own[rows, columns] = labels[top:bottom, left:right]
    shown = np.stack(
        [ndimage.map_coordinates(photo[..., k], (row, column), order=1, mode="nearest") for k in range(3)], -1
    )
    kind = _kind(result.model)
    known = _known(was, now, depth, row, column, own, _folded(before, faces), kind)[..., None]
    # the texture has the light that lids and teeth have when they are seen
    colour = known * shown * _relit(before, verts_before, verts_after, now, faces)
    colour = colour + (1 - known) * _textured(result, now)
    parts = part_labels(now, faces, result.model.vertex_label.numpy())
    known = known[..., 0]
    came = own[np.rint(row).clip(0, side - 1).astype(int), np.rint(column).clip(0, side - 1).astype(int)]
    share = _share(now, shift, own, came, parts)[..., None]
    mixed = photo + share * (np.clip(colour, 0, 1) - photo)

    inner = (parts > 0) & (parts < _PARTS)
    of_mesh = np.where(inner, parts, np.where(own == LABEL["background"], LABEL["skin"], own))
    fresh = np.where((known > 0.5) & ~np.isin(came, (*_BEFORE, LABEL["background"])), came, of_mesh)
    changed = (share[..., 0] > 0.5) & (shift > _STAYS)
    found, finished = labels.copy(), result.photo.copy()
    found[top:bottom, left:right] = np.where(changed, fresh, own)[rows, columns]
    finished[top:bottom, left:right] = (mixed * 255 + 0.5).astype(np.uint8)[rows, columns]
    step = (after.landmarks() - before.landmarks())[0].detach().numpy()
    return Edited(finished, found, (landmarks[:, :2] + step).astype(np.float32), after)


def _window(before: np.ndarray, after: np.ndarray, scene: Scene, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the photo's pixels in which something can move."""
    focal, centre = (value[0].double().numpy() for value in (scene.camera.focal, scene.camera.centre))
    moved = np.linalg.norm(after - before, axis=1) > 0.05
    both = np.concatenate([before[moved], after[moved]])
    pixels = centre + focal * both[:, :2] * (1, -1) / np.maximum(-both[:, 2:], 1.0)
    low, high = np.floor(pixels.min(0)).astype(int) - 8, np.ceil(pixels.max(0)).astype(int) + 8
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(high, shape[::-1])
    return int(left), int(top), max(int(right), int(left) + 1), max(int(bottom), int(top) + 1)


def _folded(scene: Scene, faces: np.ndarray) -> np.ndarray:
    lids = closed_lids(scene)
    return np.zeros(len(faces)) if lids is None else lids.folded


def _known(
    was: View, now: View, depth: np.ndarray, row: np.ndarray, column: np.ndarray, own: np.ndarray, folded: np.ndarray,
    kind: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(S, S) float32: how far the photo shows what is seen now: 0 what was hidden, folded or behind something."""
    side = len(own)
    i, j = np.rint(row).astype(int), np.rint(column).astype(int)
    inside = (i >= 0) & (j >= 0) & (i < side) & (j < side)
    i, j = i.clip(0, side - 1), j.clip(0, side - 1)
    free = now.seen & inside & (depth < was.depth[i, j] + _HIDDEN) & (own[i, j] != LABEL["glasses"])
    free &= folded[now.face] < 0.5
    free &= kind[now.face] == kind[was.face[i, j]]  # depth alone cannot tell teeth from the lips that lie on them
    return smoothstep((ndimage.distance_transform_edt(free) - 0.5) / 2).astype(np.float32)


def _kind(model: FaceModel) -> np.ndarray:
    """(F,) 0 skin, 1 and 2 eyeballs, 3 inside of the mouth: what lies behind or before what."""
    corner = model.faces.numpy()[:, 0]
    inside = (model.vertex_label.numpy()[corner] == LABEL["mouth_inside"]) * 3
    return np.maximum(model.eyeball.numpy()[corner], inside)


def _textured(result: FitResult, now: View) -> np.ndarray:
    """(S, S, 3) float32: the fit's texture on the face as it is now."""
    layers = unwrapped(result, TEXTURE)
    texture = picture(layers.photo, layers.face).astype(np.float32) / 255
    uv = now.interpolate(result.model.uv.numpy(), result.model.uv_faces.numpy())
    at = ((1 - uv[..., 1]) * TEXTURE - 0.5, uv[..., 0] * TEXTURE - 0.5)
    return np.stack([ndimage.map_coordinates(texture[..., k], at, order=1, mode="nearest") for k in range(3)], -1)


def _relit(scene: Scene, before: np.ndarray, after: np.ndarray, now: View, faces: np.ndarray) -> np.ndarray:
    """(S, S, 3) float32: the light that a place has now over what it had."""
    light = []
    for verts in (before, after):
        normals = vertex_normals(torch.from_numpy(verts).float()[None], scene.model.faces)
        light.append((sh_basis(normals)[0] @ scene.parameters.sh[0]).numpy())
    ratio = np.clip(light[1], 0.05, None) / np.clip(light[0], 0.05, None)
    return np.where(now.seen[..., None], now.interpolate(ratio.clip(*_RELIT), faces), 1)


def _share(now: View, shift: np.ndarray, own: np.ndarray, came: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(S, S) float32: how far the new face takes the place of the photo. A chin may come to lie over a collar; the
    rest of the head, of which the mesh knows little, stays within the person. What comes out from under hair or a cap
    is left to the photo, too: what it looks like is not known, and a made-up seam along a fringe shows."""
    moving = now.seen & (shift > _STAYS)
    near = ndimage.gaussian_filter(moving.astype(np.float32), 1.0)
    head = now.seen & ((parts < _PARTS) | (own != LABEL["background"]))
    outline = smoothstep(ndimage.distance_transform_edt(head) / _EDGE)
    free = 1 - ndimage.gaussian_filter((np.isin(own, _BEFORE) | np.isin(came, _OVER)).astype(np.float32), 0.7)
    return (smoothstep(near / 0.6) * outline * free.clip(0, 1)).astype(np.float32)


def edit_document(result: FitResult, wanted: str, made: Edited) -> bytes:
    """JSON of an edited photo."""
    expression = made.scene.parameters.expression[0].numpy()
    model = result.model
    about = {
        "photo": result.photo_path, "expression": wanted,
        "activations": {
            name: round(float(value), 4)
            for name, value in zip(model.expression_names, expression, strict=True)
            if value > 1e-4
        },
        "model": {"name": model.name, "version": model.version, "license": model.license, "sha256": model.checksum},
        "camera": {"focal": result.camera.focal[0].tolist(), "centre": result.camera.centre[0].tolist()},
    }  # fmt: skip
    return (json.dumps(about) + "\n").encode()
