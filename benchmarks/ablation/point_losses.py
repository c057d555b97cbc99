"""Energies between two sets of points: a part's points on the mesh, and the pixels of its mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmarks.ablation.scene import Scene
from facefit.anatomy.parts import PARTS
from facefit.energies.prdl.contract import SKIN_POINTS, PrdlTargets
from facefit.energies.prdl.farthest_point import farthest_points
from facefit.energies.prdl.prdl import prdl_part_energies
from facefit.energies.prdl.targets import prdl_targets
from facefit.observe.observation import Observation

UNIT = 224.0  # pixels on a side of the window that distances are told in, whatever the window is
DCD_ALPHA = 1000.0  # Wu et al. 2021, for clouds of about unit size


@dataclass(frozen=True)
class TargetPoints:
    """Pixel centres of one part's mask, (M, 2) window pixels, and the tree that finds the nearest."""

    points: Tensor
    tree: cKDTree


class Prdl:
    """facefit.energies.prdl.prdl, each part by itself, in pixels^2 of a window of UNIT."""

    triangles = False

    def __init__(self, statistics: tuple[str, ...]) -> None:
        self.statistics = statistics

    def targets(self, observation: Observation) -> PrdlTargets:
        return prdl_targets(observation.part_masks)

    def __call__(self, scene: Scene, targets: PrdlTargets, scale: float = 1.0) -> Tensor:
        """(B, 8); `scale` has no meaning here."""
        energies = prdl_part_energies(scene.pixels, scene.selection, targets, self.statistics)
        return energies * (UNIT / scene.size) ** 2


class NearestPoints:
    """ICP in one direction or both (Chamfer), and Chamfer that knows density.

    Args:
        kind: "target" (each mask pixel pulls its nearest point: ICP target -> prediction), "prediction" (each point
            goes to its nearest mask pixel), "chamfer" (both, squared distances), "chamfer_l1" (both, plain distances)
            or "dcd".
    Source: Besl and McKay 1992; Wu et al. 2021, Density-aware Chamfer Distance, eq. 1 and 7 (with both clouds' ratio
        for clouds of unlike size, as in the authors' code).
    """

    KINDS = ("target", "prediction", "chamfer", "chamfer_l1", "dcd")
    triangles = False

    def __init__(self, kind: str) -> None:
        if kind not in self.KINDS:
            raise ValueError(f"kind is {kind!r}; accepted: {', '.join(self.KINDS)}")
        self.kind = kind

    def targets(self, observation: Observation) -> list[list[TargetPoints | None]]:
        """Face by face and part by part; None for an empty mask."""
        return [[_target(mask) for mask in masks[: len(PARTS)]] for masks in observation.part_masks]

    def __call__(self, scene: Scene, targets: list[list[TargetPoints | None]], scale: float = 1.0) -> Tensor:
        """(B, 8): pixels^2 of a window of UNIT (chamfer_l1: pixels; dcd: in [0, 1]), 0 where a side is empty.

        `scale` widens the reach of dcd: the squared distance at which a pair counts 1/e.
        """
        chosen = scene.selection.points(scene.pixels)
        bounds = scene.selection.offset.tolist()
        energies = []
        for number, (start, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
            face, part = divmod(number, len(PARTS))
            target = targets[face][part]
            if target is None or stop == start:
                energies.append(chosen.new_zeros(()))
            else:
                energies.append(self._energy(chosen[start:stop], target, scene.size, scale))
        return torch.stack(energies).reshape(len(scene.pixels), len(PARTS))

    def _energy(self, points: Tensor, target: TargetPoints, size: int, scale: float) -> Tensor:
        unit = UNIT / size
        places = points.detach().numpy()
        energy = points.new_zeros(())
        if self.kind != "prediction":
            nearest = torch.from_numpy(cKDTree(places).query(target.points.numpy())[1])
            energy = energy + self._measure(points[nearest] - target.points, nearest, len(points), unit, scale)
        if self.kind != "target":
            nearest = torch.from_numpy(target.tree.query(places)[1])
            energy = energy + self._measure(points - target.points[nearest], nearest, len(target.points), unit, scale)
        return energy

    def _measure(self, offset: Tensor, nearest: Tensor, available: int, unit: float, scale: float) -> Tensor:
        """Of the way from each of one cloud's points to its nearest among the `available` of the other."""
        squared = offset.square().sum(1)
        if self.kind == "chamfer_l1":
            return unit * (squared + 1e-12).sqrt().mean()  # plain distance has no slope at 0
        if self.kind != "dcd":
            return unit**2 * squared.mean()
        often = torch.bincount(nearest, minlength=available)[nearest]  # how many share this partner
        share = (len(nearest) / available) / often
        reach = DCD_ALPHA * (unit / UNIT) ** 2 / scale
        return 0.5 * (1 - share * (-reach * squared).exp()).mean()


def _target(mask: Tensor) -> TargetPoints | None:
    row, column = (mask > 0.5).nonzero().unbind(1)
    if len(row) == 0:
        return None
    points = torch.stack([column, row], 1).float() + 0.5
    if len(points) > SKIN_POINTS:
        points = points[torch.from_numpy(farthest_points(points.double().numpy(), SKIN_POINTS))]
    return TargetPoints(points, cKDTree(points.numpy()))
