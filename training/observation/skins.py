"""Skin of real people, taken from fits of labelled photos: a ratio at each vertex of the default model.

A person's skin is what the photo shows at a vertex, divided by the fitted light and by its own smooth part: light,
complexion and broad shading stay out; brows, lips, moles, stubble and pores remain.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from scipy import sparse

from facefit.fit.config import override, preset
from facefit.fit.fit import fit_photo
from facefit.fit.result import FitResult
from facefit.geometry.camera import project, to_camera_space, to_clip_space, window_camera
from facefit.geometry.mesh_graph import edge_matrix, mesh_edges
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.detector import NetworkDetector
from facefit.photo.photo import read_photo
from facefit.render import load_renderer
from facefit.render.lighting import shade, vertex_normals

logger = logging.getLogger(__name__)

SIDE = 512  # window pixels of the visibility test
HIDDEN = 3.0  # mm behind what is seen at a vertex' pixel
FACING = 0.25  # cosine below which a vertex is seen too obliquely
SMOOTH = 120  # steps over the mesh' edges: what varies over more than about 25 mm is taken for light
UNOBSERVED = ("landmark", "prdl", "photometric")  # of fits that a network learns from or is held against
PHOTOS = 3  # of one person, the most frontal ones


def photo_skin(result: FitResult) -> tuple[np.ndarray, np.ndarray]:
    """One fit -> colours under white light (V, 3) float64 and how much each counts (V,), 0 where it is hidden."""
    model, parameters = result.model, result.parameters
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze)
    points = to_camera_space(verts, parameters.rotvec, parameters.translation)
    normals = vertex_normals(points, model.faces)
    camera = window_camera(result.camera, result.window)
    size = result.observation.image.shape[1]
    finer = type(camera)(camera.focal * (SIDE / size), camera.centre * (SIDE / size))
    rast = load_renderer("cpu").rasterize(to_clip_space(points, finer, SIDE), model.faces, SIDE)
    depth = load_renderer("cpu").interpolate(points[..., 2:].contiguous(), rast, model.faces)[0, ..., 0].numpy()
    column, row = np.clip(project(points, finer)[0].numpy().astype(int).T, 0, SIDE - 1)
    seen = np.abs(depth[row, column] - points[0, :, 2].numpy()) < HIDDEN
    facing = (normals[0] * -torch.nn.functional.normalize(points[0], dim=1)).sum(1).numpy()
    at = project(points, camera)[0].numpy()
    masks = result.observation.part_masks[0, :8].amax(0).numpy()
    column, row = np.clip(at.astype(int).T, 0, size - 1)
    person = masks[row, column]
    pixels = project(points, result.camera)[0].numpy()
    colours = _bilinear(result.photo.astype(np.float32) / 255, pixels)
    light = shade(torch.ones_like(points), normals, parameters.sh)[0].numpy()
    weight = seen * person * np.clip((facing - FACING) / 0.4, 0, 1)
    return colours / np.clip(light, 0.15, None), weight * (model.eyeball.numpy() == 0)


def _bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(H, W, 3) at (N, 2) pixels; the border is repeated."""
    height, width = image.shape[:2]
    x, y = np.clip(points[:, 0] - 0.5, 0, width - 1.001), np.clip(points[:, 1] - 0.5, 0, height - 1.001)
    left, top = x.astype(int), y.astype(int)
    a, b = (x - left)[:, None], (y - top)[:, None]
    upper = image[top, left] * (1 - a) + image[top, left + 1] * a
    return upper * (1 - b) + (image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a) * b


def skin_ratio(model: FaceModel, colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(V, 3) colours with their weights (V,) -> (V, 4) float32: ratio to the smooth part, and where it is known; what
    was hidden takes the other side's."""
    mirror = model.symmetry.numpy()
    hidden = weight < 0.05
    colours = np.where(hidden[:, None], colours[mirror], colours)
    weight = np.where(hidden, weight[mirror], weight)
    edges = mesh_edges(model.faces.numpy())
    step = edge_matrix(edges, np.ones(len(edges)), len(weight)) + sparse.eye(len(weight))
    step = sparse.diags(1 / np.asarray(step.sum(1))[:, 0]) @ step
    sums = np.concatenate([colours * weight[:, None], weight[:, None]], 1)
    for _ in range(SMOOTH):
        sums = step @ sums
    smooth = sums[:, :3] / np.maximum(sums[:, 3:], 1e-6)
    ratio = np.clip(colours / np.maximum(smooth, 0.02), 0.15, 2.0)
    return np.concatenate([ratio, np.clip(weight * 3, 0, 1)[:, None]], 1).astype(np.float32)


def build(folders: list[Path]) -> np.ndarray:
    """Everybody in FASSEG-like folders: (N, V, 4) float32, see `skin_ratio`."""
    model, detector = load_model(), NetworkDetector(max_faces=1)
    config = override(preset("fast"), energies=UNOBSERVED)
    photos: dict[str, list[tuple[float, Path]]] = {}
    for folder in folders:
        for item in json.loads((folder / "index.json").read_text())["items"]:
            path = folder / f"{item['name']}.png"
            photos.setdefault(item.get("person", item["name"]), []).append((abs(item["yaw"]), path))
    skins = []
    for person, of_person in sorted(photos.items()):
        total, sums = np.zeros(len(model.verts)), np.zeros((len(model.verts), 3))
        for _, path in sorted(of_person)[:PHOTOS]:
            result = fit_photo(read_photo(path), config, model=model, detector=detector)[0]
            colours, weight = photo_skin(result)
            colours = colours / max(float(colours[weight > 0.3].mean()), 1e-3)  # one exposure for all photos
            total, sums = total + weight, sums + colours * weight[:, None]
        skins.append(skin_ratio(model, sums / np.maximum(total, 1e-6)[:, None], np.minimum(total, 1)))
        logger.info("skin of %s", person)
    return np.stack(skins)
