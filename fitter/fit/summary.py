"""What a fit comes to in a few numbers: what is printed, written into manifests and kept of every frame."""

from __future__ import annotations

from dataclasses import dataclass

from ..metrics.part_iou import mean_iou
from ..model.face_model import FaceModel


@dataclass(frozen=True)
class Summary:
    """One fit.

    Attributes:
        status: why the fit stopped; see FitResult.
        energies: final value of each energy, weighted as in the sum; None for one that is not a number.
        parts: IoU of each part, single and merged; None for a part that neither mesh nor photo shows.
        landmark_error: share of the distance between the outer eye corners, or None.
        model: `model_block` of the model that was fitted.
    """

    status: str
    energies: dict[str, float | None]
    parts: dict[str, float | None]
    landmark_error: float | None
    model: dict

    @property
    def part_iou(self) -> float | None:
        """The mean over those of the 8 parts that are seen: one that is merged of them does not count again."""
        return mean_iou(self.parts)

    def __str__(self) -> str:
        error = "" if self.landmark_error is None else f", landmark error {100 * self.landmark_error:.1f} %"
        return self.status + error + ("" if self.part_iou is None else f", part IoU {self.part_iou:.2f}")


def model_block(model: FaceModel) -> dict:
    """Which model a document speaks of, as JSON types."""
    return {
        "name": model.name, "version": model.version, "license": model.license, "checksum": model.checksum,
        "sizes": model.sizes,
    }  # fmt: skip
