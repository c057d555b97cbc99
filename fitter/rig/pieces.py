"""Pieces of a head that hang on nothing: eyeballs, rows of teeth, a tongue. They move as bodies, with the skin that
moves with them."""

from __future__ import annotations

import numpy as np

NEAR = 45.0  # mm of a piece within which skin may belong to the same bone
WITH = 0.25  # of a piece's motion that skin may differ by and still move with it
SLIGHT = 0.05  # mm of motion; skin that moves less belongs to no bone


def rigid_motion(points: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rotation (3, 3) about the middle of points (N, 3), and the shift (3,) of it, closest to what moves them.

    Source: Arun et al. 1987, "Least-squares fitting of two 3-D point sets".
    """
    u, _, vt = np.linalg.svd((points - points.mean(0)).T @ (moved - moved.mean(0)))
    return (u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt).T, moved.mean(0) - points.mean(0)


def carried_piece(
    first: np.ndarray, second: np.ndarray, piece: np.ndarray, shape: np.ndarray, carried: np.ndarray, skin: np.ndarray
) -> np.ndarray:
    """What a shape does to a piece of another face.

    Its turn is that of the first face, about its own middle; its shift follows the skin on the same bone, so that lower
    teeth stay behind a lip whose jaw is longer. What is no turn (a tongue that comes out) is added as it is, turned.

    Args:
        first, second: (V, 3) mm, the two faces. piece, skin: vertices of the piece and of what it may move with.
        shape, carried: (V, 3) mm, the displacements of the two faces; of `carried` only the skin is read.
    Returns:
        (N, 3) mm.
    """
    start, there = first[piece], second[piece]
    if not shape[piece].any():
        return np.zeros_like(there)
    rotation, shift = rigid_motion(start, start + shape[piece])
    turn = rotation - np.eye(3)
    rest = shape[piece] - (start - start.mean(0)) @ turn.T - shift
    # both faces' skin against the motion that the piece would give it
    whole = (first[skin] - start.mean(0)) @ turn.T + shift
    length = np.linalg.norm(whole, axis=1)
    off = np.linalg.norm(shape[skin] - whole, axis=1)
    bound = (off < WITH * length) & (length > SLIGHT)
    bound &= np.linalg.norm(first[skin] - start.mean(0), axis=1) < NEAR
    if bound.any():
        before = (shape[skin] - whole)[bound]
        after = (carried[skin] - (second[skin] - there.mean(0)) @ turn.T - shift)[bound]
        shift = shift + (after - before).mean(0)
    return (there - there.mean(0)) @ turn.T + shift + rest
