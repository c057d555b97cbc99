"""What is shared: how often its priors count, and what its mean is."""

import pytest
import torch
from helpers.rendered_face import person, together

from facefit.fit.config import FitConfig
from facefit.person.sharing import Sharing


def test_the_prior_of_what_is_shared_counts_once_and_a_share_for_each_further_photo():
    sharing, config = Sharing(agreement=0.3), FitConfig()
    for photos in (1, 2, 8):
        weights = sharing.weighted(config, photos).weights
        assert photos * weights.identity == pytest.approx((1 + 0.3 * (photos - 1)) * config.weights.identity)
        assert photos * weights.symmetry == pytest.approx((1 + 0.3 * (photos - 1)) * config.weights.symmetry)
        assert weights.expression == config.weights.expression  # each photo's own
    # nor has a common one less of a prior than eight that are each photo's: the face at rest would lose what it gains
    assert Sharing(static=True).weighted(config, 4).weights.expression == config.weights.expression


def test_one_photo_has_the_weights_of_a_single_fit():
    assert Sharing().weighted(FitConfig(), 1) == FitConfig()


def test_shared_values_are_the_mean_in_every_photo_and_the_others_stay(default_model):
    two = together(person(default_model, seed=1, jawOpen=0.4), person(default_model, seed=2))
    shared = Sharing().shared(two)
    assert torch.allclose(shared.identity, two.identity.mean(0).expand(2, -1))
    assert torch.equal(shared.expression, two.expression) and torch.equal(shared.sh, two.sh)
    still = Sharing(static=True).shared(two)
    assert torch.allclose(still.expression[1], two.expression.mean(0))
