"""The identity distance of two embeddings."""

import pytest
import torch

from facefit.energies.perceptual import perceptual_energy


def vectors(seed: int) -> torch.Tensor:
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_identity_distance_by_hand():
    rendered = torch.tensor([[3.0, 4.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    observed = torch.tensor([[30.0, 40.0], [-1.0, 0.0], [1.0, 3.0**0.5], [1.0, 0.0]])
    assert torch.allclose(perceptual_energy(rendered, observed), torch.tensor([0.0, 2.0, 0.5, 1.0]), atol=1e-6)
    for wrong in (observed[:3], observed[:, :1], observed[0]):
        with pytest.raises(ValueError, match="embeddings: .* expected both"):
            perceptual_energy(rendered, wrong)


def test_perceptual_gradcheck():
    observed = vectors(1)
    assert torch.autograd.gradcheck(lambda x: perceptual_energy(x, observed), vectors(0).requires_grad_(True))
