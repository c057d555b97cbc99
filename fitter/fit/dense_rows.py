"""Dense points and normals in the landmark stage: whitened residuals and their derivatives, beside the landmarks'.

A point's residual is its distance in the picture. A normal says that the surface's edges lie at right angles to it: an
edge's residual is its part along the normal seen at its middle, in units of its length, which is the angle between
both and linear in the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..compute.derived import derived
from ..errors import ModelError
from ..geometry.camera import Camera, project
from ..model.face_model import FaceModel
from ..observe.dense import load_points
from ..observe.observation import Observation
from ..render.lighting import vertex_normals
from ..scene.joint_basis import joint_basis
from .config import FitConfig

FACING = 0.15  # cosine to the view below which a point is not counted


@dataclass(frozen=True)
class DenseBasis:
    """What is needed of a model whatever the photo: its dense points as affine functions of the coefficients, in the
    order of facefit.fit.landmark_basis.

    Attributes:
        mean: (P, 3) mm; basis: (P, 3, N); corrective: (P, 3, K), see LandmarkBasis.
        normals: (P, 3) of the mean face. known: (P,) 1.0 where the model has the point, 0.0 elsewhere.
        edges: (2, E) places among the points; length: (E,) mm on the mean face; along: (E, 3, N) what the
            coefficients do to them.
    """

    mean: Tensor
    basis: Tensor
    corrective: Tensor
    normals: Tensor
    known: Tensor
    edges: Tensor
    length: Tensor
    along: Tensor

    def facing(self, rotation: Tensor, points: Tensor) -> Tensor:
        """(B, P) 1.0 for points (B, P, 3) mm in camera space that the camera sees from before, under rotations
        (B, 3, 3); those of the mean face's normals."""
        toward = ((self.normals @ rotation.transpose(1, 2)) * -points).sum(-1)
        return (toward > FACING * points.norm(dim=-1)).to(points.dtype) * self.known


def dense_basis(model: FaceModel) -> DenseBasis | None:
    """The model's, made once; None for a model without dense points, or a decoder, whose points are affine near one
    code alone.

    Raises:
        ModelError: the model has the points of another version.
    """
    if model.dense_faces is None or model.decoder is not None:
        return None
    expected = len(load_points().vertices)
    if len(model.dense_faces) != expected:
        raise ModelError(
            f"{model.name}: {len(model.dense_faces)} observed points (dense_faces); this version of facefit has "
            f"{expected}: add the model again, or use --energies landmark,prdl,outline,photometric"
        )
    return derived(model, "dense basis", _dense_basis)


def _dense_basis(model: FaceModel) -> DenseBasis:
    assert model.dense_faces is not None
    bases = (model.identity_basis, joint_basis(model), model.expression_basis)
    more = model.verts.new_zeros(0, *model.verts.shape) if model.correctives is None else model.correctives.basis
    mean = model.dense_points(model.verts[None])[0]
    basis = torch.cat([model.dense_points(each) for each in bases]).permute(1, 2, 0).contiguous()
    edges = torch.from_numpy(load_points().edges.T.copy()).to(model.device)
    first, second = edges
    return DenseBasis(
        mean=mean,
        basis=basis,
        corrective=model.dense_points(more).permute(1, 2, 0).contiguous(),
        normals=model.dense_points(vertex_normals(model.verts[None], model.faces))[0],
        known=(model.dense_faces >= 0).float(),
        edges=edges,
        length=(mean[first] - mean[second]).norm(dim=1).clamp_min(1.0),
        along=basis[first] - basis[second],
    )


@dataclass(frozen=True)
class DenseRows:
    """What a network saw of B faces, and how much it counts.

    Attributes:
        points: (B, P, 4) and normals (B, E, 5), see facefit.observe.observation; camera: of the window.
    """

    basis: DenseBasis
    points: Tensor
    normals: Tensor
    camera: Camera
    config: FitConfig

    def __getitem__(self, face: int) -> DenseRows:
        one = slice(face, face + 1)
        camera = Camera(self.camera.focal[one], self.camera.centre[one])
        return DenseRows(self.basis, self.points[one], self.normals[one], camera, self.config)

    def system(
        self, rotation: Tensor, translation: Tensor, coefficients: Tensor, corrective: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The normal matrix (B, 6 + N, 6 + N) and gradient (B, 6 + N) of its energy at a pose (B, 3, 3), (B, 3) mm and
        coefficients (B, N), with those of the correctives (B, K); turn and shift of the pose first."""
        basis, weights = self.basis, self.config.weights
        by = coefficients @ basis.basis.flatten(0, 1).T + corrective @ basis.corrective.flatten(0, 1).T
        turned = (basis.mean + by.reshape(len(by), -1, 3)) @ rotation.transpose(1, 2)
        points = turned + translation[:, None]
        facing = basis.facing(rotation, points)
        depth, focal = (-points[..., 2]).clamp_min(1.0), self.camera.focal[:, None]
        left = (project(points, self.camera) - self.points[..., :2]) / self.points[..., 2:3]
        zero = torch.zeros_like(depth)
        du = torch.stack([focal[..., 0] / depth, zero, focal[..., 0] * points[..., 0] / depth**2], -1)
        dv = torch.stack([zero, -focal[..., 1] / depth, -focal[..., 1] * points[..., 1] / depth**2], -1)
        slope = torch.stack([du, dv], -2) / self.points[..., 2, None, None]  # (B, P, 2, 3)
        root = self._root(left.norm(dim=-1), self.points[..., 3] * facing, weights.dense_points)[..., None]
        first, second = basis.edges
        along = turned[:, first] - turned[:, second]
        across = self.normals[..., :3] / (basis.length * self.normals[..., 3])[..., None]
        angle = (across * along).sum(-1)
        share = self.normals[..., 4] * facing[:, first] * facing[:, second]
        narrow = self._root(angle.abs(), share, weights.dense_normals)

        slope, across = slope * root[..., None], across * narrow[..., None]
        count, unknowns = len(coefficients), 6 + coefficients.shape[1]
        jacobian = slope.new_empty(count, 2 * points.shape[1] + along.shape[1], unknowns)
        of_points, of_edges = jacobian[:, : -along.shape[1]], jacobian[:, -along.shape[1] :]
        of_points[..., :3] = torch.linalg.cross(turned[:, :, None], slope).flatten(1, 2)
        of_points[..., 3:6] = slope.flatten(1, 2)
        of_points[..., 6:] = ((slope @ rotation[:, None]) @ basis.basis).flatten(1, 2)
        of_edges[..., :3] = torch.linalg.cross(along, across)
        of_edges[..., 3:6] = 0
        of_edges[..., 6:] = ((across @ rotation)[:, :, None] @ basis.along)[:, :, 0]
        residual = torch.cat([(left * root).flatten(1), angle * narrow], 1)[..., None]
        return jacobian.transpose(1, 2) @ jacobian, (jacobian.transpose(1, 2) @ residual)[..., 0]

    def _root(self, distance: Tensor, share: Tensor, weight: float) -> Tensor:
        """Square roots of the weights of residuals at these distances: shares of `weight`, far ones less (Huber)."""
        robust = self.config.robust / distance.clamp_min(self.config.robust)
        return (share * robust * (weight / share.sum(1, keepdim=True).clamp_min(1e-9))).sqrt()


def dense_rows(model: FaceModel, observation: Observation, camera: Camera, config: FitConfig) -> DenseRows | None:
    """Of B observed faces in the window's camera; None where the energy is not asked for, the model has no dense
    points or nothing was observed."""
    basis = dense_basis(model) if "dense" in config.energies and observation.dense_points.shape[1] else None
    if basis is None:
        return None
    return DenseRows(basis, observation.dense_points, observation.dense_normals, camera, config)
