"""Pictures of a fit: the overlay of five panels, and the part labels in the photo's pixels."""

from __future__ import annotations

import numpy as np
import torch

from ..anatomy.parts import COLOURS
from ..files.picture_bytes import png_bytes
from ..fit.result import FitResult
from ..geometry.camera import Camera, WindowTransform
from ..photo.window import sample_window
from ..render.view import View, face_box, make_window, view
from ..scene.part_picture import mesh_faces, part_labels, render_labels

PANEL = 512  # pixels

PANELS = ("photo", "mesh over photo", "geometry", "render", "parts")


def labels_png(result: FitResult) -> bytes:
    """The mesh's visible part labels as a grey PNG (mode L) of the photo's size."""
    width, height = result.photo_size
    return png_bytes(render_labels(result.model, result.verts_in("camera"), result.camera, width, height))


def overlay_png(result: FitResult, panel: int = PANEL) -> bytes:
    """One PNG: photo, mesh over photo, geometry, render and parts, side by side, cropped around the head."""
    return png_bytes(overlay(result, panel))


def overlay(result: FitResult, panel: int = PANEL) -> np.ndarray:
    """(panel, 5 panel, 3) uint8: the five PANELS."""
    window = overlay_window(result, panel)
    photo, inside = sample_window(result.photo, window)
    photo = photo / 255 * inside[..., None]
    faces, verts = mesh_faces(result.model), result.verts_in("camera")
    seen, sharp = _view_twice(verts, faces, result.camera, window)
    over = seen.seen[..., None]
    normals = shading_normals(result)
    grey = _smooth(sharp, _clay(verts, normals[0].numpy()), faces)
    coverage = _half(sharp.seen[..., None].astype(np.float32))

    mesh = photo * (1 - 0.45 * coverage) + 0.45 * grey * coverage
    lines = _grid(seen, result.model.verts.cpu().numpy(), faces)[..., None] & over
    mesh = np.where(lines, 0.55 * mesh + 0.45 * np.array((0.1, 0.9, 0.7)), mesh)
    geometry = 1 - (1 - grey) * coverage
    render = photo * (1 - coverage) + _smooth(sharp, _lit(result, normals), faces) * coverage
    labels = part_labels(sharp, faces, result.model.vertex_label.cpu().numpy())
    parts = photo * (1 - 0.6 * coverage) + 0.6 * _half(COLOURS[labels].astype(np.float32) / 255)
    panels = np.concatenate([photo, mesh, geometry, render, parts], 1)
    return (np.clip(panels, 0, 1) * 255 + 0.5).astype(np.uint8)


def overlay_window(result: FitResult, panel: int = PANEL) -> WindowTransform:
    """The square around the projected mesh that the overlay shows, in photo pixels."""
    left, top, right, bottom = face_box(result.verts_in("camera"), result.camera)
    side = max(right - left, bottom - top) * 1.12
    return make_window(((left + right - side) / 2, (top + bottom - side) / 2), side, panel)


def _view_twice(verts: np.ndarray, faces: np.ndarray, camera: Camera, window: WindowTransform) -> tuple[View, View]:
    """At the panel's resolution, and at twice that, to be averaged: smooth silhouettes and part borders."""
    double = WindowTransform(window.origin, window.scale * 2, window.size * 2)
    return view(verts, faces, camera, window), view(verts, faces, camera, double)


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


def _lit(result: FitResult, normals: torch.Tensor) -> np.ndarray:
    """(V, 3) the fitted albedo under the fitted light."""
    from ..render.lighting import shade

    with torch.no_grad():
        albedo = result.model.albedo(result.parameters.albedo.cpu()).float()
        return shade(albedo, normals, result.parameters.sh.cpu().float())[0].numpy().clip(0, 1)


def _grid(seen: View, mean: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(S, S) bool: lines every 10 mm of the mean face, carried along by the fit. The triangles are too many to
    be drawn; these lines bend with the surface in the same way."""
    cell = np.floor(seen.interpolate(mean[:, :2], faces) / 10)
    edge = np.zeros(seen.face.shape, bool)
    edge[:, 1:] |= (cell[:, 1:] != cell[:, :-1]).any(-1)
    edge[1:] |= (cell[1:] != cell[:-1]).any(-1)
    return edge


def shading_normals(result: FitResult) -> torch.Tensor:
    """(1, V, 3) unit vertex normals in camera space."""
    from ..render.lighting import vertex_normals

    return vertex_normals(torch.from_numpy(result.verts_in("camera")).float()[None], result.model.faces.cpu())
