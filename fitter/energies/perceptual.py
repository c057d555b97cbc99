"""Who the render is against who the photo is, as a face recognition network sees both."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def perceptual_energy(rendered: Tensor, observed: Tensor) -> Tensor:
    """The identity distance: 1 - cosine of the angle between two embeddings.

    Args:
        rendered, observed: (B, D) embeddings of any length, of the render and of the photo.
    Returns:
        (B,) from 0, the same direction, to 2; 1 where an embedding is zero.
    Raises:
        ValueError: shapes that differ.
    Source: L_per of Wang et al. 2024, eq. 7, after Deng et al. 2019; the identity consistency of DECA.
    """
    if rendered.shape != observed.shape or rendered.ndim != 2:
        raise ValueError(
            f"embeddings: rendered {tuple(rendered.shape)} and observed {tuple(observed.shape)}; expected both (B, D)"
        )
    return 1 - functional.cosine_similarity(rendered, observed, dim=1)
