"""The colours of the render against those of the photo."""

from __future__ import annotations

import torch
from torch import Tensor

from .photometric_kernel import Photometric


def photometric_energy(rendered: Tensor, image: Tensor, weight: Tensor, smooth: float = 1e-3) -> Tensor:
    """Robust L2,1 distance: the length of the RGB difference of a pixel, averaged over the pixels (not squared).

    On the CPU it is one pass over the pixels (facefit.energies.photometric_kernel) unless the image or the weights have
    gradients; elsewhere the plain twin `photometric_energy_torch`.

    Args:
        rendered, image: (B, S, S, 3) RGB in [0, 1].
        weight: (B, S, S) >= 0: coverage by the mesh times validity of the photo. 0 leaves a pixel out: it has no
            gradient, and may hold NaN. Its own gradient (through an antialiased coverage) is that of a weighted mean.
        smooth: RGB units. sqrt(d^2 + smooth^2) - smooth stands for the length d, so the gradient exists at 0; about a
            quarter of an 8-bit level.
    Returns:
        (B,) RGB units; 0 where all weights are 0.
    Raises:
        ValueError: shapes that do not fit, or a smoothing that is not positive.
    Source: Tran et al. 2019, Towards high-fidelity nonlinear 3D face morphable model, eq. 4.
    """
    if rendered.shape != image.shape or rendered.ndim != 4 or rendered.shape[-1] != 3:
        raise ValueError(f"rendered {tuple(rendered.shape)} and image {tuple(image.shape)}; expected both (B, S, S, 3)")
    if weight.shape != image.shape[:3]:
        raise ValueError(f"weight has shape {tuple(weight.shape)}; expected {tuple(image.shape[:3])}")
    if not smooth > 0:
        raise ValueError(f"smooth is {smooth}; accepted: > 0")
    same = rendered.dtype == image.dtype == weight.dtype and rendered.device.type == "cpu"
    if same and not (image.requires_grad or weight.requires_grad):
        return Photometric.apply(rendered, image, weight, smooth)
    return photometric_energy_torch(rendered, image, weight, smooth)


def photometric_energy_torch(rendered: Tensor, image: Tensor, weight: Tensor, smooth: float = 1e-3) -> Tensor:
    """The plain twin of `photometric_energy`: (B, S, S, 3), (B, S, S, 3), (B, S, S) -> (B,), checks nothing."""
    # where() and not only the product: 0 * NaN is NaN
    difference = torch.where((weight > 0)[..., None], rendered - image, 0.0)
    length = ((difference * difference).sum(-1) + smooth * smooth).sqrt() - smooth
    total = weight.sum((1, 2))
    return (length * weight).sum((1, 2)) / torch.where(total > 0, total, 1.0)
