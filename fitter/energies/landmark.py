"""Landmarks: projected against detected, weighed by how well the detector knows each; the cheek contour marches."""

from __future__ import annotations

import torch
from torch import Tensor

ROBUST = ("none", "huber", "geman_mcclure")


def landmark_energy(
    projected: Tensor,
    observed: Tensor,
    precision: Tensor | None,
    confidence: Tensor,
    robust: str = "none",
    threshold: float = 3.0,
) -> Tensor:
    """Mean squared Mahalanobis distance between projected and detected landmarks, made robust on request.

    Args:
        projected: (B, L, 2) window pixels, y down, the detector's bias already added (`calibrated_precision`).
        observed: (B, L, 2) window pixels.
        precision: (B, L, 2, 2) inverse covariances, 1/pixel^2, symmetric. None means the identity, which makes this
            the plain mean squared distance in pixel^2.
        confidence: (B, L) in [0, 1]; 0 leaves a point out, whatever its position.
        robust: "none"; "huber" (linear in the distance beyond the threshold: an outlier pulls with a constant force)
            or "geman_mcclure" (saturates at threshold^2: an outlier stops pulling).
        threshold: in standard deviations (pixels without a precision), > 0. All three kinds agree well below it.
    Returns:
        (B,) without unit (pixel^2 without a precision); 0 where every confidence is 0.
    Raises:
        ValueError: shapes that do not fit, an unknown kind, a threshold that is not positive.
    Source: Wang et al. 2024, sec. 3.4 (landmark loss); the weighing is the maximum likelihood of Gaussian detections.
    """
    if projected.shape != observed.shape or projected.ndim != 3 or projected.shape[-1] != 2:
        raise ValueError(
            f"landmarks: projected {tuple(projected.shape)}, observed {tuple(observed.shape)}; expected both (B, L, 2)"
        )
    if confidence.shape != projected.shape[:2]:
        raise ValueError(f"confidence has shape {tuple(confidence.shape)}; expected {tuple(projected.shape[:2])}")
    if robust not in ROBUST:
        raise ValueError(f"robust is {robust!r}; accepted: {', '.join(ROBUST)}")
    if not threshold > 0:
        raise ValueError(f"threshold is {threshold} standard deviations; accepted: > 0")
    used = confidence > 0
    # where() and not a product with the confidence: a point that is left out may be NaN and must not spread
    difference = torch.where(used[..., None], projected - observed, 0.0)
    if precision is None:
        squared = (difference * difference).sum(-1)
    else:
        if precision.shape != (*projected.shape, 2):
            raise ValueError(f"precision has shape {tuple(precision.shape)}; expected {(*projected.shape, 2)}")
        precision = torch.where(used[..., None, None], precision, 0.0)
        squared = (difference[..., None, :] * precision * difference[..., :, None]).sum((-1, -2))
    return _weighted_mean(_robustify(squared, robust, threshold), confidence)


def _robustify(squared: Tensor, kind: str, threshold: float) -> Tensor:
    limit = threshold * threshold
    if kind == "huber":
        outside = squared > limit
        # sqrt has an infinite slope at 0: keep the unused branch away from it
        distance = torch.where(outside, squared, limit).sqrt()
        return torch.where(outside, 2 * threshold * distance - limit, squared)
    if kind == "geman_mcclure":
        return squared * limit / (squared + limit)
    return squared


def _weighted_mean(value: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum(1)
    return (value * weight).sum(1) / torch.where(total > 0, total, 1.0)


def calibrated_precision(
    yaw_degrees: Tensor,
    landmark_yaw: Tensor,
    landmark_bias: Tensor,
    landmark_covariance: Tensor,
    millimetre_per_pixel: Tensor,
    floor: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """What the detector's calibration says at the present head yaw and scale.

    The calibration was measured on renders in bins of yaw; between two bins both moments are interpolated linearly (a
    mix of positive definite matrices stays so), beyond the last bins the last ones hold.

    Args:
        yaw_degrees: (B,) head yaw, degrees.
        landmark_yaw: (Y,) centres of the bins, degrees, increasing.
        landmark_bias: (Y, L, 2) mean of detection - truth, mm in the image plane (x right, y down).
        landmark_covariance: (Y, L, 2, 2) of the same, mm^2.
        millimetre_per_pixel: (B,) mm that a window pixel spans at the face's depth: depth / focal length.
        floor: pixels. Its square is added to the variances: photos show noise (blur, crop, resampling) that renders
            do not, and no landmark may be trusted without limit.
    Returns:
        bias: (B, L, 2) window pixels; observed ~ projected + bias.
        precision: (B, L, 2, 2) 1/pixel^2, for `landmark_energy`.
        Both are NaN for a face whose scale is not positive or whose yaw is not finite; its neighbours are safe.
    Raises:
        ValueError: a floor that is not positive.
    """
    if not floor > 0:
        raise ValueError(f"floor is {floor} pixels; accepted: > 0")
    sound = (millimetre_per_pixel > 0) & torch.isfinite(yaw_degrees)
    millimetre_per_pixel = torch.where(sound, millimetre_per_pixel, torch.nan)
    bins = landmark_yaw.shape[0]
    upper = torch.searchsorted(landmark_yaw.contiguous(), yaw_degrees.to(landmark_yaw).contiguous()).clamp(0, bins - 1)
    lower = (upper - 1).clamp_min(0)
    width = landmark_yaw[upper] - landmark_yaw[lower]
    share = (yaw_degrees - landmark_yaw[lower]) / torch.where(width > 0, width, 1.0)
    share = torch.where(width > 0, share.clamp(0, 1), 0.0)[:, None, None]
    scale = millimetre_per_pixel[:, None, None]
    bias = torch.lerp(landmark_bias[lower], landmark_bias[upper], share) / scale
    covariance = torch.lerp(landmark_covariance[lower], landmark_covariance[upper], share[..., None])
    covariance = covariance / (scale * scale)[..., None]
    xx, yy = covariance[..., 0, 0] + floor * floor, covariance[..., 1, 1] + floor * floor
    xy = (covariance[..., 0, 1] + covariance[..., 1, 0]) / 2
    determinant = xx * yy - xy * xy
    inverse = torch.stack([torch.stack([yy, -xy], -1), torch.stack([-xy, xx], -1)], -2)
    return bias, inverse / determinant[..., None, None]


def march_contour(pixels: Tensor, rows: Tensor, stop: Tensor | None = None) -> Tensor:
    """The vertex each cheek contour landmark sits on under the current pose (dynamic landmark marching).

    A detector puts the contour where the cheek ends in the picture. On a turned head that is not the vertex of the
    frontal contour, which is hidden behind the cheek, but one nearer to the nose. So each contour landmark owns a row
    of vertices across the cheek, and the landmark is the outermost projected vertex of its row: the one farthest from
    the face's centre along the direction in which the row lies. On a smooth cheek that vertex is where the surface
    turns away from the camera, so no normals are needed. Ties go to the vertex nearer to the front.

    The direction comes from the rows themselves: their front ends form a ring around the face, and each row points
    from the centre of that ring to its own front end. It follows roll, pitch and yaw (up to the profile) without
    knowing the pose. Nothing here is differentiable, on purpose: the choice is made anew every few iterations and the
    gradient flows through the position of the chosen vertex.

    Args:
        pixels: (B, V, 2) projected vertices, window pixels.
        rows: (R, K) vertex indices of each row from front to back; -1 pads behind the last one.
        stop: (R,) optional: the last column that may be chosen. Give the landmark's frontal position there when rows
            reach behind it, so that on the cheek turned to the camera the landmark stays and does not slip to the ear.
    Returns:
        (B, R) vertex indices.
    Raises:
        ValueError: fewer than two rows, or shapes that do not fit; on the CPU also rows without a first vertex.
    Source: Zhu et al. 2015, High-fidelity pose and expression normalization, sec. 3.1 (landmark marching).
    """
    # elsewhere than on the CPU the question would stop the device; a model file is checked when it is read
    if rows.ndim != 2 or rows.shape[0] < 2 or (rows.device.type == "cpu" and (rows[:, 0] < 0).any()):
        raise ValueError(f"contour rows have shape {tuple(rows.shape)}; expected (R >= 2, K), each with a first vertex")
    allowed = rows >= 0
    if stop is not None:
        if stop.shape != rows.shape[:1]:
            raise ValueError(f"stop has shape {tuple(stop.shape)}; expected {tuple(rows.shape[:1])}")
        columns = torch.arange(rows.shape[1], device=rows.device)
        # a stop on the padding or before the row still leaves the first vertex
        allowed = allowed & (columns <= stop.clamp_min(0)[:, None])
    points = pixels.detach()[:, rows.clamp_min(0)]  # (B, R, K, 2)
    front = points[:, :, 0]
    outward = front - front.mean(1, keepdim=True)
    reach = (points * outward[:, :, None]).sum(-1)
    reach = torch.where(allowed, reach, -torch.inf)
    column = reach.argmax(-1)
    return rows.expand(len(pixels), -1, -1).gather(2, column[..., None])[..., 0]
