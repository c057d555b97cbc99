"""Rotations: vectors to matrices and back."""

from __future__ import annotations

import torch
from torch import Tensor


def rotation_matrix(rotvec: Tensor) -> Tensor:
    """(B, 3) rotation vectors in radians -> (B, 3, 3). Differentiable at zero (Rodrigues with series terms)."""
    angle2 = (rotvec * rotvec).sum(-1)[:, None, None]
    small = angle2 < 1e-8
    safe = torch.where(small, torch.ones_like(angle2), angle2)
    angle = safe.sqrt()
    a = torch.where(small, 1 - angle2 / 6, torch.sin(angle) / angle)
    b = torch.where(small, 0.5 - angle2 / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = rotvec.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + a * k + b * (k @ k)


def rotation_vector(matrix: Tensor) -> Tensor:
    """(B, 3, 3) rotations -> (B, 3) rotation vectors, radians in [0, pi]; through the quaternion, stable everywhere."""
    m = matrix
    trace = m.diagonal(dim1=1, dim2=2).sum(1)
    xx, yy, zz = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]
    # sums of opposite entries, and their differences, which are the axis times the sine
    xy, xz, yz = m[:, 0, 1] + m[:, 1, 0], m[:, 0, 2] + m[:, 2, 0], m[:, 1, 2] + m[:, 2, 1]
    x, y, z = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    # four ways to write the quaternion; the one with the largest leading entry loses no digits
    candidates = torch.stack(
        [
            torch.stack([1 + trace, x, y, z], -1),
            torch.stack([x, 1 + 2 * xx - trace, xy, xz], -1),
            torch.stack([y, xy, 1 + 2 * yy - trace, yz], -1),
            torch.stack([z, xz, yz, 1 + 2 * zz - trace], -1),
        ],
        1,
    )
    lead = torch.stack([trace, m[:, 0, 0], m[:, 1, 1], m[:, 2, 2]], -1).argmax(1)
    q = candidates[torch.arange(len(m), device=m.device), lead]
    q = q / q.norm(dim=1, keepdim=True)
    q = torch.where(q[:, :1] < 0, -q, q)
    axis = q[:, 1:]
    length = axis.norm(dim=1, keepdim=True)
    angle = 2 * torch.atan2(length, q[:, :1])
    return torch.where(length > 1e-12, axis / length.clamp_min(1e-12) * angle, 2 * axis)
