"""TODO-DOC fitter/fit/choices.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..energies.prdl.contract import PrdlSelection
from ..energies.prdl.rows import PrdlRows


@dataclass
class Choices:
    """What stays the same between two refreshes."""

    contour: Tensor
    confidence: Tensor
    bias: Tensor
    precision: Tensor | None
    selection: PrdlSelection | PrdlRows | None

    def keep(self, faces: Sequence[int], index: Tensor) -> Choices:
        return Choices(
            self.contour[index], self.confidence[index], self.bias[index],
            None if self.precision is None else self.precision[index],
            None if self.selection is None else self.selection[faces],
        )  # fmt: skip
