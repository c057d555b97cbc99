"""The toy model in several topologies: the same surface, components and landmarks as functions of (u, v), in meshes of
any fineness, with eyeballs on request."""

import numpy as np

from facefit.anatomy.landmarks import FACE_OVAL
from facefit.geometry.closest_point import ClosestPoint
from helpers.toy_model import toy_arrays


def toy_face(rows: int, columns: int | None = None, eyes: bool = False, **sizes: int) -> dict:
    """Arrays of a model file. Models with the same sizes are one model, sampled more or less finely."""
    columns = columns or rows
    arrays = toy_arrays(rows, columns, **sizes)
    v, u = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    flat = np.stack([u, v, 0 * u], -1).reshape(-1, 3)
    _, at, face = ClosestPoint(flat, arrays["faces"])(landmark_places())
    corners = flat[arrays["faces"][face]][:, :, :2]
    system = np.concatenate([corners.transpose(0, 2, 1), np.ones((len(at), 1, 3))], 1)
    bary = np.linalg.solve(system, np.concatenate([at[:, :2], np.ones((len(at), 1))], 1)[:, :, None])[..., 0]
    arrays |= {"landmark_faces": face.astype(np.int32), "landmark_bary": bary.clip(0, 1).astype(np.float32)}
    return with_eyes(arrays) if eyes else arrays


def landmark_places() -> np.ndarray:
    """(478, 3) u, v, 0: scattered over the face, the oval's around it."""
    places = np.random.default_rng(3).uniform(-0.75, 0.75, (478, 3)) * (1, 1, 0)
    angle = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    places[list(FACE_OVAL)] = np.stack([0.85 * np.sin(angle), 0.85 * np.cos(angle), 0 * angle], -1)
    return places


def with_eyes(arrays: dict, rings: int = 12) -> dict:
    """The same with a ball of 12 mm behind either eye."""
    polar, around = np.meshgrid(np.linspace(0.02, np.pi - 0.02, rings), np.arange(rings) * 2 * np.pi / rings,
                                indexing="ij")  # fmt: skip
    ball = 12 * np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    grid = np.arange(rings * rings).reshape(rings, rings)
    a, b = grid[:-1], np.roll(grid, -1, 1)[:-1]
    c, d = np.roll(grid, -1, 1)[1:], grid[1:]
    faces = np.concatenate([np.stack([a, d, c], -1).reshape(-1, 3), np.stack([a, c, b], -1).reshape(-1, 3)])
    count, more = len(arrays["verts"]), rings * rings
    out = dict(arrays)
    balls = [ball.reshape(-1, 3) + (side * 33, 24, -22) for side in (-1, 1)]
    out["verts"] = np.concatenate([arrays["verts"], *balls]).astype(np.float32)
    for name in ("identity_basis", "expression_basis", "albedo_basis"):
        out[name] = np.pad(arrays[name], ((0, 0), (0, 2 * more), (0, 0)))
    out["albedo_mean"] = np.pad(arrays["albedo_mean"], ((0, 2 * more), (0, 0)), constant_values=0.9)
    for name in ("faces", "uv_faces"):
        out[name] = np.concatenate([arrays[name], faces + count, faces + count + more]).astype(np.int32)
    corner = np.tile(np.stack([0 * around, 0 * around], -1).reshape(-1, 2), (2, 1))
    out["uv"] = np.concatenate([arrays["uv"], corner]).astype(np.float32)
    out["symmetry"] = np.concatenate([arrays["symmetry"], np.arange(count, count + 2 * more)]).astype(np.int32)
    out["vertex_label"] = np.concatenate([arrays["vertex_label"], np.repeat([3, 4], more)]).astype(np.uint8)
    out["eyeball"] = np.concatenate([arrays["eyeball"], np.repeat([1, 2], more)]).astype(np.uint8)
    return out
