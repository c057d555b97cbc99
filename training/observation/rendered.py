"""Rendered people with everything that is known of them, as the network sees them: upright crops by found landmarks."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.anatomy.landmarks import IRISES
from facefit.model.model_file import load_model
from facefit.observe.dense_surface import dense_crop
from facefit.observe.face_mesh import FaceMesh
from facefit.observe.face_networks import load_face_networks
from facefit.observe.regions import region_of_landmarks
from facefit.observe.segment.face_crops import Crop
from facefit.render.lighting import vertex_normals
from facefit.synth.camera_effects import degrade
from facefit.synth.heads import Head, own_head
from facefit.synth.photograph import photograph
from training.observation.people import varied_person
from training.observation.places import Places, on_other, on_own, register, skins_on_other
from training.parser.ict_head import ict_head

logger = logging.getLogger(__name__)

PICTURE = 176  # pixels: the crop shows all of it
FRAMING = 1.72
STORED, STORED_EXTENT = 144, 1.5  # pixels and heights of the face that are kept; the network sees a part of it
MAP_STORED = 72
REAL_SKIN = 0.75  # share of people with somebody's skin
TRUSTED = 0.08  # of the face's size: landmarks farther from the truth are of something else
SHARD = 500


@dataclass(frozen=True)
class Studio:
    """A head model with what is drawn on it.

    Attributes:
        places: of the observed points. skins: (N, V, 4) on this head's vertices.
    """

    head: Head
    places: Places
    skins: np.ndarray


def studios(ict: Path, skins: np.ndarray) -> list[Studio]:
    """facefit's own model and ICT-FaceKit's. `skins`: (N, V, 4) of training.observation.skins."""
    model, own, other = load_model(), own_head(), ict_head(str(ict))
    fit = register(model, other)
    on_skins = skins_on_other(model, other, fit)
    moved = np.stack([on_skins.of(skin) for skin in skins])
    moved[..., 3] *= on_skins.known
    return [
        Studio(own, on_own(), skins),
        Studio(other, on_other(other, fit), moved.astype(np.float32)),
    ]


def mixed_skin(skins: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """(V, 4) of one person or between two, more or less marked; None: the paint alone."""
    if rng.random() > REAL_SKIN:
        return None
    first, second = skins[rng.choice(len(skins), 2, replace=False)]
    share = rng.uniform(0, 1) if rng.random() < 0.5 else 1.0
    ratio = np.exp(share * np.log(first[:, :3]) + (1 - share) * np.log(second[:, :3]))
    known = share * first[:, 3:] + (1 - share) * second[:, 3:]
    return np.concatenate([ratio ** rng.uniform(0.6, 1.2), known], 1).astype(np.float32)


def turned_normals(normals: np.ndarray, along: np.ndarray) -> np.ndarray:
    """(3, S, S) camera space, not of unit length -> unit and turned with a picture.

    Args:
        along: (2, 2) rotation of the picture, y down.
    """
    x, y, z = normals
    turned = np.stack([along[0, 0] * x - along[0, 1] * y, along[1, 1] * y - along[1, 0] * x, z])
    return turned / np.maximum(np.linalg.norm(turned, axis=0), 1e-3)


def found_landmarks(
    mesh: FaceMesh, picture: np.ndarray, about: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """(478, 3) as the detector would find them, looking twice, about the true ones (478, 2)."""
    size = np.ptp(about, axis=0).max()
    rough = (about - about.mean(0)) * rng.normal(1, 0.06) + about.mean(0) + rng.normal(0, 0.03, 2) * size
    first = mesh.look([(picture, region_of_landmarks(rough))])[0]
    second = None if first is None else mesh.look([(picture, region_of_landmarks(first))])[0]
    if first is None or second is None:
        return None
    points = (first + second) / 2
    error = np.linalg.norm(points[: IRISES.start, :2] - about[: IRISES.start], axis=1).mean()
    return points if error < TRUSTED * size else None


def render_person(studio: Studio, rng: np.random.Generator, mesh: FaceMesh) -> dict[str, np.ndarray] | None:
    """One random person, or None where the landmarks are not found.

    Returns:
        image (144, 144, 3) uint8; normals (72, 72, 3) int8, camera space turned upright with the crop, x to the right,
        y up, z to the viewer, 127 is 1; labels (72, 72) uint8 of facefit.anatomy.parts; points (P, 3) float32 pixels of
        the crop, the third towards the viewer from their mean; facing (P,) bool; landmarks (478, 3) of the same pixels;
        identity (I,) float32; camera (3,): distance mm, focal length over the photo's side, mm a pixel of the crop.
    """
    head, places = studio.head, studio.places
    person = varied_person(head, rng)
    shot = photograph(head, rng, PICTURE, person, mixed_skin(studio.skins, rng), FRAMING)
    picture = (degrade(shot.image, rng) * 255).astype(np.uint8)
    landmarks = found_landmarks(mesh, picture, shot.landmarks, rng)
    if landmarks is None:
        return None
    crop = dense_crop(landmarks[:, :2], STORED, STORED_EXTENT)
    scale = float(np.sqrt(np.linalg.det(crop.matrix[:, :2])))
    along = crop.matrix[:, :2] / scale
    small = Crop(crop.matrix * (MAP_STORED / STORED), MAP_STORED)
    normals = small.sample(shot.normals)
    turned = turned_normals(normals, along)

    head_points = (shot.verts @ shot.rotation.T + shot.translation).astype(np.float32)
    points = places.of(head_points)
    depth = -points[:, 2]
    pixels = points[:, :2] * (1, -1) * (shot.focal / depth)[:, None] + PICTURE / 2
    middle = float(depth[places.known].mean())
    toward = (middle - depth) * shot.focal / middle * scale
    outward = places.of(vertex_normals(torch.from_numpy(head_points)[None], torch.from_numpy(head.faces))[0].numpy())
    facing = (outward * -points).sum(1) > 0.1 * np.linalg.norm(points, axis=1)
    moved = crop.points(np.concatenate([pixels, landmarks[:, :2]]))
    return {
        "image": np.rint(crop.sample(picture.astype(np.float32))).clip(0, 255).astype(np.uint8).transpose(1, 2, 0),
        "normals": np.rint(turned * 127).astype(np.int8).transpose(1, 2, 0),
        "labels": small.sample_labels(shot.labels, 0).astype(np.uint8),
        "points": np.concatenate([moved[: len(points)], toward[:, None]], 1).astype(np.float32),
        "facing": facing & places.known,
        "landmarks": np.concatenate([moved[len(points) :], landmarks[:, 2:] * scale], 1).astype(np.float32),
        "identity": person.identity.astype(np.float32),
        "camera": np.array([middle, shot.focal / PICTURE, middle / shot.focal / scale], np.float32),
    }


_STUDIOS: list[Studio] = []


def _begin(ict: str, skins: str) -> None:
    torch.set_num_threads(1)
    _STUDIOS[:] = studios(Path(ict), np.load(skins).astype(np.float32))


def _render_shard(path: Path, seed: int, shard: int) -> str:
    """Write one shard, the heads in turn; a person depends on the seed, the shard and its number alone."""
    start, rows, number = time.process_time(), [], 0
    mesh = load_face_networks().mesh
    while len(rows) < SHARD:
        head = len(rows) % len(_STUDIOS)
        made = render_person(_STUDIOS[head], np.random.default_rng((seed, shard, number)), mesh)
        number += 1
        if made is not None:
            rows.append({**made, "head": np.uint8(head)})
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, **{name: np.stack([row[name] for row in rows]) for name in rows[0]})
    temporary.replace(path)
    return f"{path.name}: {number} people for {SHARD}, {time.process_time() - start:.0f} CPU s"


def render_shards(where: Path, ict: Path, skins: Path, count: int, workers: int = 1, seed: int = 0) -> list[Path]:
    """shard_0000.npz and so on, SHARD people each; those that are there stay.

    Args:
        ict: ict_facekit.npz. skins: what training.observation.skins found, a .npy file.
        workers: processes; the result is the same.
    """
    paths = [where / f"shard_{shard:04d}.npz" for shard in range(count)]
    missing = [shard for shard, path in enumerate(paths) if not path.is_file()]
    if missing:
        where.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(workers, initializer=_begin, initargs=(str(ict), str(skins))) as pool:
            jobs = [pool.submit(_render_shard, paths[shard], seed, shard) for shard in missing]
            for job in as_completed(jobs):
                logger.info(job.result())
    return paths
