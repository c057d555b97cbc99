"""What is discrete in a fit's energy: which points are seen, which vertex the contour sits on, which calibration holds.

It is chosen anew every few iterations and constant in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..energies.landmark import calibrated_precision
from ..energies.prdl.contract import PrdlSelection
from ..energies.prdl.load import fused
from ..energies.prdl.rows import PrdlRows, group_rows
from ..energies.prdl.select import group_points, part_of_label, select_points
from ..geometry.camera import project
from ..observe.observation import Observation
from ..scene.landmarks import landmark_trust
from ..scene.part_points import KEPT, part_points, rasterized_depth, thin_evenly, visible_points
from ..scene.scene import Scene
from ..scene.silhouette import OutlinePoints, outline_points
from .config import FitConfig
from .dense_rows import dense_rows


@dataclass(frozen=True)
class Choices:
    """What stays the same between two refreshes.

    Attributes:
        contour: (B, R) vertices of the cheek contour's landmarks.
        confidence: (B, L) of the landmarks; bias: (B, L, 2) pixels; precision: (B, L, 2, 2) 1/pixels^2, or None for all
            alike.
        selection: PRDL's points; None without that energy.
        dense: (B, P) 1 where a dense point of the mesh faces the camera; None without that energy.
        outline: where the mesh ends for each point of the observed outline; None without that energy.
    """

    contour: Tensor
    confidence: Tensor
    bias: Tensor
    precision: Tensor | None
    selection: PrdlSelection | PrdlRows | None
    dense: Tensor | None
    outline: OutlinePoints | None

    def keep(self, faces: Sequence[int], index: Tensor) -> Choices:
        """Those of some of the faces: their K places, and the same as a tensor (K,) on the device."""
        return Choices(
            self.contour[index], self.confidence[index], self.bias[index],
            None if self.precision is None else self.precision[index],
            None if self.selection is None else self.selection[faces],
            None if self.dense is None else self.dense[index],
            None if self.outline is None else self.outline[index],
        )  # fmt: skip


@torch.no_grad()
def choose(scene: Scene, observation: Observation, hidden: Tensor, config: FitConfig, points: bool) -> Choices:
    """The choices that fit the scene.

    Args:
        observation: of the same B faces, in the scene's window.
        hidden: (B, S, S) where something covers the face.
        points: whether PRDL's points are wanted.
    """
    model, contour = scene.model, scene.contour()
    if config.calibrated:
        scale = -scene.surface()[..., 2].mean(1) / scene.camera.focal.mean(1)
        bias, precision = calibrated_precision(
            scene.yaw(), model.landmark_yaw, model.landmark_bias, model.landmark_covariance, scale,
            config.landmark_floor,
        )  # fmt: skip
    else:
        bias, precision = torch.zeros_like(observation.landmarks), None
    selection = _select(scene, observation, hidden) if points else None
    confidence = observation.landmark_confidence * landmark_trust(model, scene.rotation())
    outline = outline_points(scene, observation.outline) if "outline" in config.energies else None
    dense = dense_rows(model, observation, scene.camera, config)
    facing = None if dense is None else dense.basis.facing(scene.rotation(), scene.dense_points())
    return Choices(contour, confidence, bias, precision, selection, facing, outline)


def _select(scene: Scene, observation: Observation, hidden: Tensor) -> PrdlSelection | PrdlRows:
    at, label, rast = scene.part_positions(), part_points(scene.model).label, scene.rast()
    pixels = project(at, scene.camera)
    visible = visible_points(at, pixels, rast, rasterized_depth(rast))
    keep = select_points(label, pixels, visible, observation.brow_line, hidden)
    if fused(keep.device):
        return group_rows(keep, part_of_label(label), pixels, KEPT)
    return group_points(thin_evenly(keep, label, pixels), label, pixels, None)
