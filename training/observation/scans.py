"""Renders of scans as the network sees them, with the truth of the scan and what a fit without the network says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.convert.surface_fit import Samples, fit_surface
from facefit.fit.config import FitConfig, override
from facefit.fit.fit import fit_photo
from facefit.geometry.camera import Camera, project, to_camera_space, to_clip_space
from facefit.geometry.closest_point import ClosestPoint
from facefit.metrics.scan_distance import sample_surface
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.dense import load_points
from facefit.observe.dense_surface import dense_crop
from facefit.observe.detector import load_detector
from facefit.observe.segment.face_crops import Crop
from facefit.photo.photo import Photo, read_photo
from facefit.render import load_renderer
from facefit.render.lighting import vertex_normals
from training.observation.rendered import MAP_STORED, STORED, STORED_EXTENT, turned_normals
from training.observation.skins import UNOBSERVED

FLIP = np.diag([1.0, -1.0, -1.0])  # the files' cameras look along +z with y down
UNSCALED = "lps"  # its size was set by one distance
SNAP = 3.0  # mm from the registered model to the scan, beyond which a point is not known
FOLLOWED = 0.5  # mm: closer, and identities become unlikely (chi^2 of 800 to 900 instead of 235 to 300)


@dataclass(frozen=True)
class Mesh:
    """points (V, 3) camera space mm; faces (F, 3); region (V,) float32 share that counts."""

    points: np.ndarray
    faces: np.ndarray
    region: np.ndarray


def maps_of(mesh: Mesh, camera: Camera, crop: Crop, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Normals (72, 72, 3) turned upright and where the region is seen (72, 72) bool."""
    points = torch.from_numpy(mesh.points).float()[None]
    faces = torch.from_numpy(mesh.faces)
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(to_clip_space(points, camera, size), faces, size)
    values = torch.cat([vertex_normals(points, faces), torch.from_numpy(mesh.region).float()[None, :, None]], 2)
    maps = renderer.interpolate(values, rast, faces)[0].numpy()
    small = Crop(crop.matrix * (MAP_STORED / STORED), MAP_STORED)
    sampled = small.sample(maps)
    scale = np.sqrt(np.linalg.det(crop.matrix[:, :2]))
    return turned_normals(sampled[:3], crop.matrix[:, :2] / scale).transpose(1, 2, 0), sampled[3] > 0.99


def points_of(points: np.ndarray, camera: Camera, crop: Crop, known: np.ndarray) -> tuple[np.ndarray, float]:
    """(P, 3) camera space -> (P, 3) pixels of the crop with the depth towards the viewer, and mm a pixel."""
    scale = float(np.sqrt(np.linalg.det(crop.matrix[:, :2])))
    focal = float(camera.focal[0, 0])
    pixels = project(torch.from_numpy(points).float()[None], camera)[0].numpy()
    middle = float(-points[known, 2].mean())
    toward = (middle + points[:, 2]) * focal / middle * scale
    return np.concatenate([crop.points(pixels), toward[:, None]], 1), middle / focal / scale


@dataclass(frozen=True)
class Scan:
    """verts (V, 3) mm, faces (F, 3), region (V,) bool; places (P, 3) mm of the chosen points, known (P,) bool."""

    verts: np.ndarray
    faces: np.ndarray
    region: np.ndarray
    places: np.ndarray
    known: np.ndarray


def read_scan(path: Path, model: FaceModel, *, size: bool) -> Scan:
    """A scan with the chosen points on it, by fitting the model to its surface. `size`: whether its size is unknown."""
    with np.load(path, allow_pickle=False) as file:
        verts, faces = file["verts"].astype(np.float64), file["faces"].astype(np.int64)
        region, marked = file["region_oval"] > 0, file["mp468"]
    samples = Samples(sample_surface(verts, faces[region[faces].all(1)], 4000, seed=1))
    landmarks = np.full((len(model.landmark_faces), 3), np.nan)
    landmarks[: len(marked)] = marked  # without them the points slide along the surface by 5 mm
    fit = fit_surface(model, samples, landmarks, size=size, noise=FOLLOWED)
    distance, closest, face = ClosestPoint(verts, faces)(fit.motion(fit.verts)[load_points().vertices])
    return Scan(verts, faces, region, closest, (distance < SNAP) & region[faces[face]].all(1))


def rendered_scan(case: dict, scan: Scan, photo: Photo, model: FaceModel) -> dict[str, np.ndarray]:
    """One render of a scan. `case`: its camera, as the set states it."""
    matrix = torch.tensor(case["K"])
    camera = Camera(matrix.diagonal()[None, :2].float(), matrix[None, :2, 2].float())
    rotation, translation = FLIP @ np.array(case["R"]), FLIP @ np.array(case["t"])
    detector, size = load_detector(), len(photo.pixels)
    face = detector.detect(photo.pixels)[0]
    crop = dense_crop(face.landmarks, STORED, STORED_EXTENT)
    truth = Mesh(scan.verts @ rotation.T + translation, scan.faces, scan.region.astype(np.float32))
    normals, region = maps_of(truth, camera, crop, size)
    points, millimetres = points_of(scan.places @ rotation.T + translation, camera, crop, scan.known)

    fit = fit_photo(photo, override(FitConfig(), energies=UNOBSERVED), model=model, detector=detector)[0]
    found = fit.parameters
    verts = model.shape(found.identity, found.expression, found.gaze)
    in_camera = to_camera_space(verts, found.rotvec, found.translation)
    fitted = Mesh(in_camera[0].numpy(), model.faces.numpy(), np.ones(len(model.verts), np.float32))
    fit_normals, _ = maps_of(fitted, fit.camera, crop, size)
    at = fitted.points[load_points().vertices]
    fit_points, _ = points_of(at, fit.camera, crop, scan.known)
    outward = vertex_normals(in_camera, model.faces)[0].numpy()[load_points().vertices]
    facing = (outward * -at).sum(1) > 0.1 * np.linalg.norm(at, axis=1)  # hardly differs from the truth's
    depth = face.depth[:, None] * np.sqrt(np.linalg.det(crop.matrix[:, :2]))
    image = np.rint(crop.sample(photo.pixels.astype(np.float32))).clip(0, 255).astype(np.uint8)
    return {
        "image": image.transpose(1, 2, 0), "landmarks": np.concatenate([crop.points(face.landmarks), depth], 1),
        "normals": normals, "region": region, "points": points, "facing": scan.known & facing,
        "millimetres": np.array(millimetres), "fit_normals": fit_normals, "fit_points": fit_points,
    }  # fmt: skip


def build(data: Path) -> dict[str, np.ndarray]:
    """All renders of DATA/synthetic, stacked: image, landmarks, normals, points, facing as
    training.observation.rendered has them; region (N, 72, 72) bool, millimetres (N,) a pixel, name (N,); and
    fit_normals, fit_points of fits without the network."""
    model, scans, rows = load_model(), {}, []
    for path in sorted((data / "synthetic").glob("*.json")):
        case = json.loads(path.read_text())
        if "K" not in case:
            continue
        name = case["scan"]
        if name not in scans:
            scans[name] = read_scan(data / case["scan_file"], model, size=name == UNSCALED)
        row = rendered_scan(case, scans[name], read_photo(path.with_name(case["image"])), model)
        rows.append({**row, "name": np.array(path.stem)})
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}
