"""Priors: what is likely before the photo is seen. Each is minus twice a log density, up to a constant."""

from __future__ import annotations

import math

from torch import Tensor


def gaussian_prior(coefficients: Tensor, precision: Tensor | None = None) -> Tensor:
    """Squared Mahalanobis length of coefficients whose prior is a Gaussian around 0.

    Args:
        coefficients: (B, N) standard deviations (identity, albedo, or the expression of a Gaussian model).
        precision: None for a unit Gaussian; (N,) inverse variances; or an (N, N) inverse covariance.
    Returns:
        (B,) without unit. Of a likely face it is about N.
    Raises:
        ValueError: a precision of another shape.
    Source: Blanz and Vetter 1999; Wang et al. 2024, sec. 3.4 (regularisation).
    """
    count = coefficients.shape[1]
    if precision is None:
        return (coefficients * coefficients).sum(1)
    if precision.shape == (count,):
        return (coefficients * coefficients * precision).sum(1)
    if precision.shape == (count, count):
        return ((coefficients @ precision) * coefficients).sum(1)
    raise ValueError(f"precision has shape {tuple(precision.shape)}; expected ({count},) or ({count}, {count})")


def activation_prior(activation: Tensor, sparsity: float = 0.0, scale: float | Tensor = 1.0) -> Tensor:
    """Keeps expression activations small and, on request, few.

    The box [0, 1] is not in here: a clamp would kill the gradient at the border and a barrier would bias the rest.
    Whoever minimises projects onto the box after each step. Inside the box |a| = a, so the sparsity term is linear:
    its slope stays 1 at the border, and an activation the photo does not ask for rests at exactly 0 instead of
    trembling around it. Outside the box the energy means nothing.

    Args:
        activation: (B, E) in [0, 1].
        sparsity: weight of sum |a| beside sum a^2, >= 0.
        scale: activation that counts as one standard deviation, > 0; a number or (E,).
    Returns:
        (B,) without unit.
    Raises:
        ValueError: a negative sparsity or a scale that is not positive.
    """
    if sparsity < 0:
        raise ValueError(f"sparsity is {sparsity}; accepted: >= 0")
    positive = bool((scale > 0).all()) if isinstance(scale, Tensor) else scale > 0
    if not positive:
        raise ValueError(f"scale is {scale}; accepted: > 0")
    scaled = activation / scale
    return (scaled * scaled).sum(1) + sparsity * scaled.sum(1)


def gaze_prior(gaze: Tensor, turn: float = math.radians(12.0), squint: float = math.radians(3.0)) -> Tensor:
    """Eyes look ahead, and both look the same way.

    Args:
        gaze: (B, 2, 2) radians; right and left eye; yaw and pitch.
        turn: standard deviation of the common direction, radians: people turn the head for what lies beyond about
            12 to 15 degrees.
        squint: standard deviation of the difference of the eyes, radians: 3 degrees of convergence is a look at an
            object 1.2 m away.
    Returns:
        (B,) without unit.
    """
    common = gaze.mean(1) / turn
    difference = (gaze[:, 0] - gaze[:, 1]) / squint
    return (common * common).sum(1) + (difference * difference).sum(1)


def joint_prior(joints: Tensor, spread: Tensor) -> Tensor:
    """Joints rest unless the photo says otherwise.

    Args:
        joints: (B, J, 3) rotation vectors, radians.
        spread: (J, 3) standard deviations, radians, > 0.
    Returns:
        (B,) without unit.
    """
    scaled = joints / spread
    return (scaled * scaled).sum((1, 2))
