"""Dense normals: the edges of the surface lie at right angles to the normal that was seen at their middle."""

from __future__ import annotations

import torch
from torch import Tensor


def normal_energy(
    along: Tensor, length: Tensor, normal: Tensor, deviation: Tensor, share: Tensor, threshold: float = 3.0
) -> Tensor:
    """Mean squared angle between edges and the plane across the observed normal, in deviations, linear beyond a
    threshold (Huber). Unlike an angle between two normals it is linear in the surface, and it needs no faces.

    Args:
        along: (B, E, 3) mm, from one end of each edge to the other, in the normals' space.
        length: (E,) mm, > 0, of the edges on a mean face: an edge that shrinks must not count less.
        normal: (B, E, 3) unit. deviation: (B, E) radians, > 0.
        share: (B, E) in [0, 1], how much an edge counts; 0 leaves it out, whatever stands in the other arguments.
        threshold: in deviations, > 0.
    Returns:
        (B,) without unit; 0 where every share is 0.
    Raises:
        ValueError: shapes that do not fit, or a threshold that is not positive.
    """
    if along.shape != normal.shape or along.shape[-1] != 3 or length.shape != along.shape[1:2]:
        raise ValueError(
            f"edges: along {tuple(along.shape)}, normal {tuple(normal.shape)}, length {tuple(length.shape)}; expected "
            "(B, E, 3) twice and (E,)"
        )
    if deviation.shape != along.shape[:2] or share.shape != along.shape[:2]:
        raise ValueError(f"deviation {tuple(deviation.shape)}, share {tuple(share.shape)}; expected both (B, E)")
    if not threshold > 0:
        raise ValueError(f"threshold is {threshold} deviations; accepted: > 0")
    # where() and not a product: an edge that is left out may be NaN and must not spread
    used = share > 0
    left = torch.where(used, (along * normal).sum(-1) / (length * deviation), 0.0).abs()
    inner = left.clamp_max(threshold)
    total = share.sum(1)
    return (inner * (2 * left - inner) * share).sum(1) / torch.where(total > 0, total, 1.0)
