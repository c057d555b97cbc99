"""Symmetry of the reflectance: shading, not paint, is what differs between the two halves of a face."""

from __future__ import annotations

from torch import Tensor


def albedo_symmetry(albedo: Tensor, symmetry: Tensor, smooth: float = 1e-3) -> Tensor:
    """Mean absolute difference between the albedo and its mirror image.

    L1 and not L2: a birthmark or a parting may differ by much, all the rest should not differ at all.

    Args:
        albedo: (B, V, 3) reflectance in [0, 1].
        symmetry: (V,) index of the mirrored vertex.
        smooth: sqrt(d^2 + smooth^2) - smooth stands for |d|, so the gradient exists at 0.
    Returns:
        (B,) reflectance.
    Raises:
        ValueError: shapes that do not fit, or a smoothing that is not positive.
    Source: Tran et al. 2019, Towards high-fidelity nonlinear 3D face morphable model, eq. 8.
    """
    if albedo.ndim != 3 or symmetry.shape != albedo.shape[1:2]:
        raise ValueError(f"albedo {tuple(albedo.shape)}, symmetry {tuple(symmetry.shape)}; expected (B, V, 3) and (V,)")
    if not smooth > 0:
        raise ValueError(f"smooth is {smooth}; accepted: > 0")
    difference = albedo - albedo[:, symmetry]
    return ((difference * difference + smooth * smooth).sqrt() - smooth).mean((1, 2))
