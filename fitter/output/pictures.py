"""Pictures of a fit, for who works in Python: the overlay, and the parts as labels."""

from __future__ import annotations

import numpy as np

from ..fit.result import FitResult
from . import overlay as drawing
from .texture_picture import texture_picture


def overlay(result: FitResult, panel: int = drawing.PANEL) -> np.ndarray:
    """(panel, N panel, 3) uint8: the panels of facefit.output.overlay side by side, what `--overlay` writes.

    Args:
        panel: side of one in pixels.
    """
    return drawing.overlay(result.scene, result.photo, panel, texture_picture(result))


def labels(result: FitResult) -> np.ndarray:
    """(H, W) uint8: the mesh's visible parts in the photo's pixels, numbers of facefit.anatomy.parts.LABELS, what
    `--labels` writes."""
    return result.scene.picture_of_parts(*result.photo_size)
