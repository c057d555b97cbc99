"""ICT-FaceKit's head, made ready for the painters: the painting frame is its mean face."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch

from facefit.observe.detector import load_detector
from facefit.render import load_renderer
from facefit.render.lighting import vertex_normals
from facefit.synth.heads import (
    EAR_SIDE,
    EYE_LEFT,
    EYE_RIGHT,
    MOUTH,
    SKIN,
    TEETH,
    Head,
    lid_margin,
    orthographic,
    share_inside,
    sky_share,
)


@functools.lru_cache(maxsize=1)
def ict_head(path: str) -> Head:
    """ICT-FaceKit's light model (MIT) from the npz of the evaluation data.

    Raises:
        ValueError: the file does not exist.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file; expected ict_facekit.npz of the evaluation data")
    with np.load(path, allow_pickle=False) as file:
        scale = float(file["mm_per_unit"])
        ranges = {str(n): slice(*r) for n, r in zip(file["part_names"], file["part_ranges"], strict=True)}
        verts = file["verts"].astype(np.float32) * scale
        identity = file["identity"].astype(np.float32).reshape(100, -1) * scale
        expression = file["expression"].astype(np.float32).reshape(len(file["expression_names"]), -1) * scale
        names = tuple(str(n).replace("_L", "Left").replace("_R", "Right") for n in file["expression_names"])
        faces = file["faces"].astype(np.int64)
    part = np.zeros(len(verts), np.uint8)
    for number, name in enumerate(ranges):
        part[ranges[name]] = number
    order = list(ranges)
    # the sclera balls are closed; the irises within them are painted on
    faces = faces[~np.isin(part[faces[:, 0]], [order.index("iris_left"), order.index("iris_right")])]
    of_face = part[faces[:, 0]]
    kind = np.full(len(faces), SKIN, np.uint8)
    dark = [order.index(n) for n in ("mouth_socket", "eye_socket_left", "eye_socket_right", "gums_and_tongue")]
    kind[np.isin(of_face, dark)] = MOUTH
    kind[of_face == order.index("teeth")] = TEETH
    eyeball = np.zeros(len(verts), np.uint8)
    for eye, name in ((1, "sclera_right"), (2, "sclera_left")):
        eyeball[ranges[name]] = eye
        kind[of_face == order.index(name)] = EYE_RIGHT if eye == 1 else EYE_LEFT
    for index, name in enumerate(names):
        if name.startswith("eyeLook"):
            expression[index].reshape(-1, 3)[eyeball > 0] = 0.0
    landmark_faces, landmark_bary = _detected_landmarks(verts, faces, kind)
    return Head(
        name="ict",
        verts=verts,
        identity=identity,
        expression=expression,
        expression_names=names,
        faces=faces,
        kind=kind,
        paint=verts.copy(),
        eyeball=eyeball,
        ear=share_inside(EAR_SIDE, verts) * (np.abs(verts[:, 0]) > 60),
        lips=None,
        openness=sky_share(verts, faces),
        landmark_faces=landmark_faces,
        landmark_bary=landmark_bary,
        centre=np.array([0.0, 15.0, 5.0], np.float32),
        lid=lid_margin(verts[faces[landmark_faces]], landmark_bary),
        frame=np.array([[1, 1, 1], [0, 0, 0]], np.float32),
        ends_at_neck=False,
    )


def _detected_landmarks(verts: np.ndarray, faces: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MediaPipe's 478 points on a mesh: found on a picture of its mean face and taken back to the surface."""
    size = 640
    rotation = np.eye(3, dtype=np.float32)
    clip, _ = orthographic(verts, rotation)
    clip[..., :2] *= 1.4
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(clip, torch.from_numpy(faces), size)
    normal = vertex_normals(torch.from_numpy(verts)[None], torch.from_numpy(faces))
    shade = renderer.interpolate(normal, rast, torch.from_numpy(faces))[0].numpy()[..., 2].clip(0.15, 1)
    index = rast[0, ..., 3].long().numpy()
    color = np.array([[0.8, 0.6, 0.5], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9], [0.3, 0.1, 0.1], [0.9, 0.9, 0.85]])
    image = np.where(index[..., None] > 0, color[kind[index - 1]] * shade[..., None], 0.35)
    found = load_detector().detect((image * 255).astype(np.uint8))
    if not found:
        raise ValueError("no face was found on the mean face of ICT-FaceKit; its vertices may have another unit")
    column, row = np.clip(found[0].landmarks.astype(int).T, 0, size - 1)
    seen = index[row, column] > 0
    rows, columns = np.nonzero(index)
    for k in np.flatnonzero(~seen):  # just beyond the outline: the nearest point of it
        nearest = np.argmin((rows - row[k]) ** 2 + (columns - column[k]) ** 2)
        row[k], column[k] = rows[nearest], columns[nearest]
    u, v = rast[0, row, column, 0].numpy(), rast[0, row, column, 1].numpy()
    return index[row, column] - 1, np.stack([u, v, 1 - u - v], 1).astype(np.float32)
