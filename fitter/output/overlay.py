"""Pictures of a fit: the overlay of six panels, and the part labels in the photo's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..anatomy.parts import COLOURS
from ..files.picture_bytes import png_bytes
from ..geometry.camera import WindowTransform
from ..photo.window import sample_window
from ..render.view import View, make_window
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene
from .texture import lit_colours
from .textured_view import SURROUND, textured_view

PANEL = 512  # pixels

PANELS = ("photo", "mesh over photo", "clay", "textured", "three quarters", "parts")

TURN = 40.0  # degrees of the three quarters


def labels_png(scene: Scene, size: tuple[int, int]) -> bytes:
    """The mesh's visible part labels as a grey PNG (mode L) of the photo's size (width, height)."""
    return png_bytes(scene.picture_of_parts(*size))


def overlay_png(scene: Scene, photo: np.ndarray, panel: int = PANEL, texture: np.ndarray | None = None) -> bytes:
    """`overlay` as PNG: the six PANELS side by side, cropped around the head."""
    return png_bytes(overlay(scene, photo, panel, texture))


def overlay(
    scene: Scene, photo: np.ndarray, panel: int = PANEL, texture: np.ndarray | None = None,
    shown: Sequence[str] = PANELS,
) -> np.ndarray:  # fmt: skip
    """(panel, N panel, 3) uint8: the panels `shown`, N of PANELS, from left to right.

    The first three and the parts are what the photo's camera sees; textured and three quarters show the head upright,
    from the front and turned by TURN. Beyond the photo there is the colour that surrounds the turned heads.

    Args:
        photo: (H, W, 3) uint8, what the scene's camera refers to. panel: side of one in pixels.
        texture: (T, T, 3) uint8, row 0 at v = 1; None: the fitted colours under the fitted light.
    """
    pictures = _Pictures(scene, photo, texture, panel)
    make = {
        "photo": pictures.photo, "mesh over photo": pictures.mesh, "clay": pictures.clay,
        "textured": lambda: pictures.turned(0.0), "three quarters": lambda: pictures.turned(TURN),
        "parts": pictures.parts,
    }  # fmt: skip
    panels = np.concatenate([make[name]() for name in shown], 1)
    return (np.clip(panels, 0, 1) * 255 + 0.5).astype(np.uint8)


class _Pictures:
    """The panels of one fit as (panel, panel, 3) in [0, 1]; what several of them need is made once."""

    def __init__(self, scene: Scene, photo: np.ndarray, texture: np.ndarray | None, panel: int) -> None:
        self._scene, self._pixels, self._texture, self._panel = scene, photo, texture, panel
        self._window = overlay_window(scene, panel, photo.shape[:2])
        self._faces = mesh_faces(scene.model)

    @cached_property
    def _picture(self) -> np.ndarray:
        picture, inside = sample_window(self._pixels, self._window)
        return SURROUND + (picture / 255 - SURROUND) * inside[..., None]

    @cached_property
    def _sharp(self) -> View:
        return self._scene.view(_doubled(self._window))

    @cached_property
    def _coverage(self) -> np.ndarray:
        return _half(self._sharp.seen[..., None].astype(np.float32))

    @cached_property
    def _grey(self) -> np.ndarray:
        clay = _clay(self._scene.verts_in("camera"), self._scene.normals()[0].numpy())
        return _smooth(self._sharp, clay, self._faces)

    def photo(self) -> np.ndarray:
        return self._picture

    def mesh(self) -> np.ndarray:
        seen = self._scene.view(self._window)
        mesh = self._picture * (1 - 0.45 * self._coverage) + 0.45 * self._grey * self._coverage
        lines = _grid(seen, self._scene.model.verts.cpu().numpy(), self._faces)[..., None] & seen.seen[..., None]
        return np.where(lines, 0.55 * mesh + 0.45 * np.array((0.1, 0.9, 0.7)), mesh)

    def clay(self) -> np.ndarray:
        return SURROUND + (self._grey - SURROUND) * self._coverage

    def parts(self) -> np.ndarray:
        labels = COLOURS[self._scene.parts_in(self._sharp)].astype(np.float32) / 255
        covered = np.where(self._sharp.seen[..., None], labels, np.repeat(np.repeat(self._picture, 2, 0), 2, 1))
        return 0.4 * self._picture + 0.6 * _half(covered)

    def turned(self, yaw: float) -> np.ndarray:
        painted = lit_colours(self._scene) if self._texture is None else self._texture
        return textured_view(self._scene.model, self._scene.verts_in("model"), painted, yaw, self._panel, 300.0) / 255


def overlay_window(scene: Scene, panel: int = PANEL, size: tuple[int, int] | None = None) -> WindowTransform:
    """The square around the projected mesh that the overlay shows, in photo pixels.

    Args:
        size: height and width of the photo: the square stays within it as far as all of the mesh stays within the
            square. None: the mesh is in its middle.
    """
    left, top, right, bottom = scene.box()
    side = max(right - left, bottom - top) * 1.12
    corner = [(left + right - side) / 2, (top + bottom - side) / 2]
    if size is not None:
        for axis, (length, low, high) in enumerate(((size[1], left, right), (size[0], top, bottom))):
            inside = min(max(corner[axis], 0.0), max(length - side, 0.0))
            edge = 0.01 * side
            corner[axis] = min(max(inside, high + edge - side), low - edge)
    return make_window((corner[0], corner[1]), side, panel)


def _doubled(window: WindowTransform) -> WindowTransform:
    """At twice the panel's resolution, to be averaged: smooth silhouettes and part borders."""
    return WindowTransform(window.origin, window.scale * 2, window.size * 2)


def _half(image: np.ndarray) -> np.ndarray:
    """(2 S, 2 S, C) -> (S, S, C), the mean of 2 x 2 pixels."""
    # four slices: numpy's mean over two axes of five takes ten times as long
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def _smooth(sharp: View, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, C) -> (S, S, C): the mean over those of the 2 x 2 pixels that show the mesh."""
    covered = _half(sharp.seen[..., None].astype(np.float32))
    return _half(sharp.interpolate(values, faces)) / np.maximum(covered, 0.25)


def _clay(verts: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(V, 3) grey: Lambert and a soft highlight, the light beside the camera (Blinn 1977)."""
    away = verts / -np.linalg.norm(verts, axis=1, keepdims=True)
    light = np.array((-0.25, 0.35, 0.9)) / np.linalg.norm((-0.25, 0.35, 0.9))
    middle = away + light
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    diffuse = np.clip(normals @ light, 0, 1)
    gloss = np.clip((normals * middle).sum(1), 0, 1) ** 24
    return np.repeat((0.12 + 0.62 * diffuse + 0.16 * gloss)[:, None], 3, 1)


def _grid(seen: View, mean: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(S, S) bool: lines every 10 mm of the mean face, carried along by the fit. The triangles are too many to
    be drawn; these lines bend with the surface in the same way."""
    cell = np.floor(seen.interpolate(mean[:, :2], faces) / 10)
    edge = np.zeros(seen.face.shape, bool)
    edge[:, 1:] |= (cell[:, 1:] != cell[:, :-1]).any(-1)
    edge[1:] |= (cell[1:] != cell[:-1]).any(-1)
    return edge
