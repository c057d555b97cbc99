"""What all photos of a person have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from ..fit.config import FitConfig
from ..scene.parameters import Parameters

AGREEMENT = 0.3


@dataclass(frozen=True)
class Sharing:
    """Attributes:
    static: the subject kept still, so the expression is common too; None: whoever fits finds out
        (`facefit.person.stillness`).
    one_lens: all photos have one focal length.
    agreement: how far a second photo counts as the first one once more. One detector looks at all of them, and a face
        that it sees too wide it sees too wide in each, so N photos are no N independent witnesses: the prior of what
        they share counts 1 + agreement (N - 1) times. 0: independent; 1: all photos together weigh as one.
    """

    static: bool | None = False
    one_lens: bool = False
    agreement: float = AGREEMENT

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters that are one person's."""
        return ("identity", "albedo", "expression") if self.static else ("identity", "albedo")

    def prior_share(self, photos: int) -> float:
        """How often each of the photos counts the priors of what is shared."""
        return (1 + self.agreement * (photos - 1)) / photos

    def weighted(self, config: FitConfig, photos: int) -> FitConfig:
        """The settings of each photo's energy, so that their sum over the photos is the person's.

        An expression that is common counts in each photo as one of its own would, so that as much of what all photos
        show is put down to the face at rest. With the identity's share a face's own shape becomes an expression (the
        activations of two scans, eight renders each, sum up to 3.9 instead of 2.9, apart they do to 3.5) and is taken
        off again with it.
        """
        share, weights = self.prior_share(photos), config.weights
        changed = {"identity": weights.identity * share, "expected": weights.expected * share,
                   "albedo": weights.albedo * share, "symmetry": weights.symmetry * share}  # fmt: skip
        return replace(config, weights=replace(weights, **changed))

    def common(self, parameters: Parameters) -> dict[str, Tensor]:
        """(1, ...) the means of what is shared."""
        return {name: getattr(parameters, name).mean(0, keepdim=True) for name in self.names}

    def shared(self, parameters: Parameters) -> Parameters:
        """The same photos, what is shared set to its mean in all of them."""
        means = {
            name: mean.expand_as(getattr(parameters, name)).clone() for name, mean in self.common(parameters).items()
        }
        return replace(parameters, **means)
