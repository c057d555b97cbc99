"""Pictures of a head model: what was found on it, and what its components do."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw

from ..anatomy.landmarks import LOWER_LIP_BOTTOM, UPPER_LIP_TOP
from ..anatomy.parts import COLOURS
from ..model.face_model import FaceModel
from .photograph import Subject, photograph

FOCAL = 2.1  # of the tile's side: the head fills it
CAPTION = 14  # pixels
OPEN = 0.6  # activation, or radians / 2 of a jaw, of the open mouth
STRONG = 2.5  # standard deviations


def annotated(model: FaceModel, side: int = 320) -> np.ndarray:
    """The mean face from the front and the side: its colours, the 478 landmarks, the parts, the open mouth.

    Returns:
        (2 side, 3 side, 3) uint8.
    """
    verts, colours = model.verts.cpu().numpy(), model.albedo_mean.cpu().numpy()
    parts = COLOURS[model.vertex_label.cpu().numpy()] / 255.0
    opened = opened_mouth(model)
    rows = []
    for yaw in (0.0, 35.0):
        plain = _tile(model, verts, colours, side, yaw)
        rows.append(
            np.concatenate([_dotted(model, verts, colours, side, yaw), _tile(model, verts, parts, side, yaw, True),
                            _tile(model, opened, colours, side, yaw) if yaw == 0 else plain], 1)
        )  # fmt: skip
    return np.concatenate(rows)


def components(
    model: FaceModel, identity: int = 8, expression: int = 16, albedo: int = 4, side: int = 150, columns: int = 8
) -> np.ndarray:
    """A grid: the first identity components at both ends, expressions at full strength, colours at both ends.

    Args:
        identity, expression, albedo: how many of each at most; side: of a tile in pixels.
    Returns:
        (H, W, 3) uint8.
    """
    sizes, colours = model.sizes, model.albedo_mean.cpu().numpy()
    zero = {name: torch.zeros(1, sizes[name]) for name in ("identity", "expression", "albedo")}
    tiles = [(_tile(model, model.verts.cpu().numpy(), colours, side), "mean")]
    tiles.append((_tile(model, opened_mouth(model), colours, side), "mouth open"))
    for k in range(min(identity, sizes["identity"])):
        for sign in (-1, 1):
            value = zero["identity"].clone()
            value[0, k] = sign * STRONG
            verts = model.shape(value, zero["expression"])[0].numpy()
            tiles.append((_tile(model, verts, colours, side), f"identity {k + 1} {sign * STRONG:+.1f}"))
    strength = 1.0 if model.activation else STRONG
    size = model.expression_basis.square().sum((1, 2))
    for k in sorted(size.argsort(descending=True)[:expression].tolist()):
        value = zero["expression"].clone()
        value[0, k] = strength
        verts = model.shape(zero["identity"], value)[0].numpy()
        tiles.append((_tile(model, verts, colours, side), model.expression_names[k]))
    for k in range(min(albedo, sizes["albedo"])):
        for sign in (-1, 1):
            value = zero["albedo"].clone()
            value[0, k] = sign * STRONG
            tint = model.albedo(value)[0].numpy().clip(0, 1)
            tiles.append((_tile(model, model.verts.numpy(), tint, side), f"albedo {k + 1} {sign * STRONG:+.1f}"))
    return grid(tiles, columns)


def grid(tiles: list[tuple[np.ndarray, str]], columns: int) -> np.ndarray:
    """(H, W, 3) uint8: tiles (h, w, 3) uint8 of one size with their captions above, row by row."""
    height, width = tiles[0][0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width, rows * (height + CAPTION)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, caption) in enumerate(tiles):
        x, y = place % columns * width, place // columns * (height + CAPTION)
        pen.text((x + 3, y + 1), caption, fill="black")
        sheet.paste(Image.fromarray(picture), (x, y + CAPTION))
    return np.asarray(sheet)


def opened_mouth(model: FaceModel) -> np.ndarray:
    """(V, 3) the mean face with its mouth as open as one component, or the jaw joint, makes it."""
    identity = torch.zeros(1, model.sizes["identity"])
    expression = torch.zeros(1, model.sizes["expression"])
    joints = torch.zeros(1, model.sizes["joints"], 3)
    if model.skeleton is not None and "jaw" in model.skeleton.names:
        joints[0, model.skeleton.names.index("jaw"), 0] = OPEN / 2
    elif model.sizes["expression"]:
        lips = model.landmarks(model.expression_basis)[:, [UPPER_LIP_TOP, LOWER_LIP_BOTTOM], 1]
        gap = lips[:, 0] - lips[:, 1]
        if model.activation:
            expression[0, int(gap.argmax())] = OPEN
        else:
            expression[0] = STRONG * gap / gap.norm().clamp_min(1e-6)
    return model.shape(identity, expression, joints=joints)[0].numpy()


def _tile(
    model: FaceModel, verts: np.ndarray, colours: np.ndarray, side: int, yaw: float = 0.0, flat: bool = False
) -> np.ndarray:
    light = (0.0, 0.0, 1.0) if flat else (0.3, 0.5, 1.0)
    picture = photograph(Subject(verts, colours), model.faces.cpu().numpy(), yaw, light=light, size=2 * side,
                         focal=FOCAL)  # fmt: skip
    # rendered at twice the size and averaged: smooth edges
    return picture.image.reshape(side, 2, side, 2, 3).mean((1, 3)).astype(np.uint8)


def _dotted(model: FaceModel, verts: np.ndarray, colours: np.ndarray, side: int, yaw: float) -> np.ndarray:
    picture = photograph(Subject(verts, colours), model.faces.cpu().numpy(), yaw, size=side, focal=FOCAL)
    faces = model.faces.cpu().numpy()[model.landmark_faces.cpu().numpy()]
    bary = model.landmark_bary.cpu().numpy()[:, :, None]
    facing = (picture.normals[faces] * bary).sum(1)[:, 2] > 0
    sheet = Image.fromarray(picture.image)
    pen = ImageDraw.Draw(sheet)
    for x, y in (picture.pixels[faces] * bary).sum(1)[facing]:
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(0, 230, 90))
    return np.asarray(sheet)
