"""Pictures of a fit: the overlay of five panels, and the part labels in the photo's pixels."""

from __future__ import annotations

import numpy as np
import torch

from ..anatomy.parts import COLOURS
from ..files.picture_bytes import png_bytes
from ..geometry.camera import WindowTransform
from ..photo.window import sample_window
from ..render.view import View, make_window
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene

PANEL = 512  # pixels

PANELS = ("photo", "mesh over photo", "geometry", "render", "parts")


def labels_png(scene: Scene, size: tuple[int, int]) -> bytes:
    """The mesh's visible part labels as a grey PNG (mode L) of the photo's size (width, height)."""
    return png_bytes(scene.picture_of_parts(*size))


def overlay_png(scene: Scene, photo: np.ndarray, panel: int = PANEL) -> bytes:
    """`overlay` as PNG: photo, mesh over photo, geometry, render and parts, side by side, cropped around the head."""
    return png_bytes(overlay(scene, photo, panel))


def overlay(scene: Scene, photo: np.ndarray, panel: int = PANEL) -> np.ndarray:
    """(panel, 5 panel, 3) uint8: the five PANELS.

    Args:
        photo: (H, W, 3) uint8, what the scene's camera refers to. panel: side of one in pixels.
    """
    window = overlay_window(scene, panel)
    picture, inside = sample_window(photo, window)
    picture = picture / 255 * inside[..., None]
    faces, verts = mesh_faces(scene.model), scene.verts_in("camera")
    seen, sharp = scene.view(window), scene.view(_doubled(window))
    over = seen.seen[..., None]
    grey = _smooth(sharp, _clay(verts, scene.normals()[0].numpy()), faces)
    coverage = _half(sharp.seen[..., None].astype(np.float32))

    mesh = picture * (1 - 0.45 * coverage) + 0.45 * grey * coverage
    lines = _grid(seen, scene.model.verts.cpu().numpy(), faces)[..., None] & over
    mesh = np.where(lines, 0.55 * mesh + 0.45 * np.array((0.1, 0.9, 0.7)), mesh)
    geometry = 1 - (1 - grey) * coverage
    with torch.no_grad():
        lit = scene.colours()[0].numpy().clip(0, 1)
    render = picture * (1 - coverage) + _smooth(sharp, lit, faces) * coverage
    parts = picture * (1 - 0.6 * coverage) + 0.6 * _half(COLOURS[scene.parts_in(sharp)].astype(np.float32) / 255)
    panels = np.concatenate([picture, mesh, geometry, render, parts], 1)
    return (np.clip(panels, 0, 1) * 255 + 0.5).astype(np.uint8)


def overlay_window(scene: Scene, panel: int = PANEL) -> WindowTransform:
    """The square around the projected mesh that the overlay shows, in photo pixels."""
    left, top, right, bottom = scene.box()
    side = max(right - left, bottom - top) * 1.12
    return make_window(((left + right - side) / 2, (top + bottom - side) / 2), side, panel)


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
