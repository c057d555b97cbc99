"""What the methods see: points and triangles of the parts in window pixels, and which of them count now."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.ablation.part_mesh import PartMesh, part_mesh
from facefit.anatomy.parts import MASKS
from facefit.compute.derived import derived
from facefit.energies.prdl.contract import PrdlSelection
from facefit.energies.prdl.select import group_points, select_points
from facefit.geometry.camera import project, to_camera_space, to_clip_space, window_camera
from facefit.geometry.rotation import rotation_matrix
from facefit.model.face_model import FaceModel
from facefit.observe.observation import Observation
from facefit.render import Renderer
from facefit.scene.parameters import Parameters
from facefit.scene.part_points import PartPoints, part_points, rasterized_depth, thin_evenly, visible_points


@dataclass(frozen=True)
class Scene:
    """The parts of B meshes in a window.

    Attributes:
        pixels: (B, N, 2) part points; selection: those of them that count, by part (none, for methods of triangles).
        corners: (B, K, 2) vertices of the part mesh; clip: (B, K, 4) the same in clip space.
        mesh: its triangles; seen: (B, T) bool, those that count (none, for methods of points).
        size: side of the window in pixels.
    """

    pixels: Tensor
    selection: PrdlSelection
    corners: Tensor
    clip: Tensor
    mesh: PartMesh
    seen: Tensor
    size: int


@dataclass(frozen=True)
class LinearPoints:
    """Points of a model straight from its coefficients: what a fit needs when no energy looks at the whole mesh.

    Attributes:
        mean: (1, N * 3) mm. basis: (I + E, N * 3).
    """

    mean: Tensor
    basis: Tensor

    @classmethod
    def of(cls, model: FaceModel, points: PartPoints) -> LinearPoints:
        """Made once for the points, which are made once for the model."""

        def make(points: PartPoints) -> LinearPoints:
            shapes = torch.cat([model.verts[None], model.identity_basis, model.expression_basis])
            at = torch.cat([points.positions(s, model.landmarks(s)) for s in shapes.split(16)]).flatten(1)
            return cls(at[:1], at[1:].contiguous())

        return derived(points, "linear points", make)

    def __call__(self, parameters: Parameters) -> Tensor:
        """(B, N, 3) camera space."""
        coefficients = torch.cat([parameters.identity, parameters.expression], 1)
        at = torch.addmm(self.mean, coefficients, self.basis).reshape(len(coefficients), -1, 3)
        return at @ rotation_matrix(parameters.rotvec).transpose(1, 2) + parameters.translation[:, None]


class Stage:
    """Puts B meshes before their cameras. What counts is chosen anew every `refresh` iterations, as a fit does it.

    Args:
        triangles: whether the method looks at triangles, else at points; the other is empty and costs nothing.
    """

    def __init__(
        self, observation: Observation, model: FaceModel, renderer: Renderer, refresh: int, *, triangles: bool
    ) -> None:
        self.observation, self.model, self.renderer, self.refresh = observation, model, renderer, refresh
        self.camera, self.size = window_camera(observation.camera, observation.window), observation.size
        self.points, self.mesh = part_points(model), part_mesh(model)
        self.hidden = observation.part_masks[:, MASKS.index("hair") :].amax(1)
        self.triangles = triangles
        self.linear = LinearPoints.of(model, self.mesh.points if triangles else self.points)
        batch = observation.batch
        none = torch.zeros(batch, len(self.points.label), dtype=torch.bool)
        empty = torch.zeros(batch, len(self.points.label), 2)
        self._selection = group_points(none, self.points.label, empty, None)
        self._seen = torch.zeros(batch, len(self.mesh.triangles), dtype=torch.bool)
        self._chosen = False

    def __call__(self, parameters: Parameters, iteration: int) -> Scene:
        at = self.linear(parameters)
        pixels = project(at, self.camera)
        if not self._chosen or iteration % self.refresh == 0:
            self._choose(parameters, at, pixels)
        clip = to_clip_space(at, self.camera, self.size)
        return Scene(pixels, self._selection, pixels, clip, self.mesh, self._seen, self.size)

    @torch.no_grad()
    def _choose(self, parameters: Parameters, at: Tensor, pixels: Tensor) -> None:
        verts = self.model.shape(parameters.identity, parameters.expression)
        verts = to_camera_space(verts, parameters.rotvec, parameters.translation)
        rast = self.renderer.rasterize(to_clip_space(verts, self.camera, self.size), self.model.faces, self.size)
        depth, line = rasterized_depth(rast), self.observation.brow_line
        if self.triangles:
            at = at[:, self.mesh.triangles].mean(2)
            pixels = project(at, self.camera)
            visible = visible_points(at, pixels, rast, depth)
            self._seen = select_points(self.mesh.label, pixels, visible, line, self.hidden)
        else:
            visible = visible_points(at, pixels, rast, depth)
            keep = select_points(self.points.label, pixels, visible, line, self.hidden)
            keep = thin_evenly(keep, self.points.label, pixels)
            self._selection = group_points(keep, self.points.label, pixels, None)
        self._chosen = True
