"""Energies between pictures: the parts of the mesh, drawn so that the picture has a gradient, against the masks."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.ablation.coverage import SoftSilhouettes, sigma_pixels
from benchmarks.ablation.scene import Scene
from facefit.anatomy.parts import PARTS
from facefit.observe.observation import Observation
from facefit.render import Renderer

KERNELS = (0.01, 0.03, 0.09)  # of ReDA, standard deviations as parts of the window's side


def iou_energy(drawn: Tensor, masks: Tensor) -> Tensor:
    """1 - IoU of soft silhouettes.

    Args:
        drawn, masks: (..., S, S) in [0, 1].
    Returns:
        (...) in [0, 1]; 0 where the mask is empty.
    Source: Liu et al. 2019 (SoftRas), eq. 6.
    """
    both = (drawn * masks).sum((-1, -2))
    either = (drawn + masks - drawn * masks).sum((-1, -2))
    return torch.where(masks.sum((-1, -2)) > 0, 1 - both / either.clamp_min(1e-6), 0.0)


class SoftSilhouetteIou:
    """Soft silhouettes of each part and the IoU loss, in the manner of SoftRas or of DIB-R ("softras", "dibr")."""

    triangles = True

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def targets(self, observation: Observation) -> Tensor:
        return observation.part_masks[:, : len(PARTS)]

    def __call__(self, scene: Scene, targets: Tensor, scale: float = 1.0) -> Tensor:
        """(B, 8) in [0, 1]; `scale` multiplies the paper's sigma."""
        sigma = sigma_pixels(self.kind, scene.size, scale)
        triangles, part = scene.mesh.triangles.numpy(), scene.mesh.part.numpy()
        drawn = [
            SoftSilhouettes.apply(
                corners, triangles, part, seen.numpy(), len(PARTS), scene.size, sigma, self.kind == "softras"
            )
            for corners, seen in zip(scene.corners, scene.seen, strict=True)
        ]
        return iou_energy(torch.stack(drawn), targets)


class AntialiasedIou:
    """The parts drawn hard in 8 colours, whose borders the renderer's antialiasing blends, and the IoU loss.

    No two parts share a vertex, so that their borders are silhouettes to the renderer, against each other too.
    Source: Laine et al. 2020 (nvdiffrast), sec. 3.5.
    """

    triangles = True

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        self._culled: tuple[Tensor, list[Tensor]] | None = None

    def targets(self, observation: Observation) -> Tensor:
        return observation.part_masks[:, : len(PARTS)]

    def __call__(self, scene: Scene, targets: Tensor, scale: float = 1.0) -> Tensor:
        """(B, 8) in [0, 1]; `scale` has no meaning here: the blend is one pixel wide."""
        return iou_energy(self._drawn(scene), targets)

    def _drawn(self, scene: Scene) -> Tensor:
        if self._culled is None or self._culled[0] is not scene.seen:
            # the same tensors as long as they stay the same: the renderer keeps what it knows of a mesh
            self._culled = scene.seen, [scene.mesh.triangles[seen].contiguous() for seen in scene.seen]
        pictures = []
        for clip, faces, seen in zip(scene.clip, self._culled[1], scene.seen, strict=True):
            if len(faces) == 0:
                pictures.append(clip.new_zeros(len(PARTS), scene.size, scene.size))
                continue
            rast = self.renderer.rasterize(clip[None], faces, scene.size)
            part = scene.mesh.part[seen][(rast[0, ..., 3].long() - 1).clamp_min(0)]
            colour = torch.nn.functional.one_hot(part, len(PARTS)) * (rast[0, ..., 3:] > 0)
            drawn = self.renderer.antialias(colour[None].to(clip.dtype), rast, clip[None], faces)
            pictures.append(drawn[0].permute(2, 0, 1))
        return torch.stack(pictures)


class Reda:
    """The idea of ReDA: the picture of the parts, smoothed by kernels of several sizes on both sides, so that parts
    that do not overlap yet feel how far they are from each other.

    A smoothed silhouette is the integral of the kernel over the part; here the sum over its visible triangles of their
    area times a Gaussian at their middle. The energy is the squared difference of the smoothed pictures over all
    scales, divided by the mask's own. Not the authors' code, which is not public; no depth and no free-form layer.
    Source: Zhu et al. 2020, ReDA (attributes beyond colour, multi-scale convolution of the rendering).
    """

    triangles = True

    def targets(self, observation: Observation) -> Tensor:
        return observation.part_masks[:, : len(PARTS)]

    def __call__(self, scene: Scene, targets: Tensor, scale: float = 1.0) -> Tensor:
        """(B, 8); `scale` widens the kernels' areas."""
        every = torch.arange(scene.size) + 0.5
        energies = []
        for face, corners in enumerate(scene.corners):
            placed = corners[scene.mesh.triangles[scene.seen[face]]]
            part = scene.mesh.part[scene.seen[face]]
            first, second = placed[:, 1] - placed[:, 0], placed[:, 2] - placed[:, 0]
            area = 0.5 * (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).abs()
            middle = placed.mean(1)
            total = corners.new_zeros(len(PARTS))
            for width in KERNELS:
                variance = scale * (width * scene.size) ** 2
                line = every[:: max(1, int(0.8 * variance**0.5))]  # a smooth picture needs few pixels
                kernel = ((line[:, None] - every).square() / (-2 * variance)).exp()
                wanted = kernel @ targets[face] @ kernel.T
                spread = ((line - middle[..., None]).square() / (-2 * variance)).exp()  # (T, 2, S / stride)
                rows, columns = spread[:, 1] * area[:, None], spread[:, 0]
                drawn = torch.stack([rows[part == p].T @ columns[part == p] for p in range(len(PARTS))])
                norm = wanted.square().sum((1, 2)).clamp_min(1e-6)
                total = total + (drawn - wanted).square().sum((1, 2)) / norm
            energies.append(torch.where(targets[face].sum((1, 2)) > 0, total / len(KERNELS), 0.0))
        return torch.stack(energies)
