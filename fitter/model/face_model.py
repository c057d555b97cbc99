"""FaceModel: the morphable model as tensors, and its one documented file format.

A model file is a NumPy `.npz` without pickled objects. Shapes: V vertices, F triangles, T texture coordinates,
I / E / A identity / expression / albedo components, L landmarks, Y calibration bins, C control vertices.

| array                  | shape, type          | meaning |
|---|---|---|
| `format`               | ()  int              | 1; 2 with a decoder |
| `name`, `version`, `license`, `provenance` | () str | free text; `provenance` is JSON |
| `verts`                | (C, 3) float         | mean neutral face, mm, model space (facefit.geometry.camera) |
| `identity_basis`       | (I, C, 3) float      | mm per standard deviation |
| `expression_basis`     | (E, C, 3) float      | mm at activation 1 (or per standard deviation) |
| `expression_names`     | (E,) str             | ARKit names where the model has them |
| `expression_kind`      | () str               | `activation` (coefficients in [0, 1]) or `gaussian` |
| `corrective_basis`     | (K, C, 3) float      | optional, as the next two: mm per activation (or deviation) of one expression times ... |
| `corrective_expression` | (K,) int            | ... which expression that is, and ... |
| `corrective_identity`  | (K, I) float         | ... the identity's coefficient along this direction: what makes one blink close everybody's lids |
| `albedo_mean`          | (C, 3) float         | sRGB-encoded reflectance in [0, 1] |
| `albedo_basis`         | (A, C, 3) float      | per standard deviation |
| `upsample_index`, `upsample_weight` | (V, K)  | optional: row v of every per-vertex array is the weighted sum of K control vertices (a subdivision is linear, so it is stored once and not per component); absent: V = C |
| `faces`                | (F, 3) int           | counter-clockwise seen from outside |
| `uv`, `uv_faces`       | (T, 2) float, (F, 3) int | [0, 1], v up |
| `symmetry`             | (V,) int             | index of the mirrored vertex |
| `vertex_label`         | (V,) uint8           | facefit.anatomy.parts.LABELS (0 to 10) |
| `part_weight`          | (V, 11) uint8        | optional: share of each label at the vertex times 255; interpolated, the largest wins, so that a part may end between two vertices; absent: `vertex_label` alone |
| `eyeball`              | (V,) uint8           | 0 not an eyeball, 1 right, 2 left; turned by `gaze` about its own mean |
| `eyeball_weight`       | (V,) float           | optional: weights, summing to 1 over each eyeball, with which its vertices give the point it turns about; absent: their mean |
| `landmark_faces`, `landmark_bary` | (L,) int, (L, 3) float | points on the surface in MediaPipe's order |
| `landmark_yaw`         | (Y,) float           | degrees, increasing: head yaw of each calibration bin |
| `landmark_bias`        | (Y, L, 2) float      | mean of detection - truth, mm in the image plane (x right, y down) |
| `landmark_covariance`  | (Y, L, 2, 2) float   | of the same, mm^2 |
| `contour_rows`         | (R, K) int           | rows of vertices across the cheek from front to back, for contour marching; -1 pads |
| `contour_landmarks`    | (R,) int             | the landmark that marches along each row |
| `dense_faces`, `dense_bary` | (S,) int, (S, 3) float | optional: points on the surface in the order of facefit.observe.dense, which a network observes; face -1: not on this head |
| `joint_names`, `joint_parent` | (J,) str, (J,) int | optional, as all that follow: `root`, `neck`, `jaw`, `right_eye`, `left_eye`, `other`; an earlier joint, -1 at the root |
| `joint_position`, `joint_position_basis` | (J, 3), (I, J, 3) float | mm at rest, and mm per standard deviation of identity |
| `joint_weight`         | (V, J) float         | linear blend skinning; rows sum to 1 |
| `joint_pose_basis`     | (9 (J - 1), C, 3) float | optional: mm per unit of the flattened R - I of joints 1 to J - 1 |
| `decoder_network`      | (N,) uint8           | optional, with `decoder_frame`: an ONNX file (docs/own_model.md) that makes the shape, and the colours if it can, of a code; the bases are then what a deviation (an activation of 1) does at rest |
| `decoder_frame`        | (3, 3) float         | the network's vertices times it are mm in model axes |
| `decoder_identity_mean`, `decoder_identity_root` | (M,), (I, M) float | optional, as the same of `expression` and `albedo`: the network is given mean + code @ root |
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..compute.derived import derived
from ..compute.row_product import affine_rows
from ..compute.sparse_map import SparseMap
from .corrective import Correctives
from .decoder import Decoder
from .skeleton import EYES, Skeleton, gaze_rotation


@dataclass(frozen=True)
class FaceModel:
    """A morphable model on one device. Shapes as in the module's table, control vertices already upsampled.

    Attributes beyond the table:
        identity_basis, expression_basis, albedo_basis: (I, V, 3), (E, V, 3), (A, V, 3) float32.
        part_weight: (V, 11) float32 in [0, 1].
        activation: True when the expression coefficients live in [0, 1].
        checksum: sha256 of the file, empty for a model made in memory.
        eyeball_weight: (V,), or None for the mean.
        skeleton: the joints, or None.
        correctives: what expressions do differently on different people, or None.
        decoder: the network that makes shapes, and colours if it can; None: the components do. With one, the bases are
            its linearisation at rest, for whoever needs directions.
    """

    name: str
    version: str
    license: str
    provenance: dict
    verts: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    expression_names: tuple[str, ...]
    activation: bool
    albedo_mean: Tensor
    albedo_basis: Tensor
    faces: Tensor
    uv: Tensor
    uv_faces: Tensor
    symmetry: Tensor
    vertex_label: Tensor
    part_weight: Tensor
    eyeball: Tensor
    landmark_faces: Tensor
    landmark_bary: Tensor
    landmark_yaw: Tensor
    landmark_bias: Tensor
    landmark_covariance: Tensor
    contour_rows: Tensor
    contour_landmarks: Tensor
    checksum: str = ""
    eyeball_weight: Tensor | None = None
    skeleton: Skeleton | None = None
    correctives: Correctives | None = None
    decoder: Decoder | None = None
    dense_faces: Tensor | None = None
    dense_bary: Tensor | None = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{count} {name}" for name, count in self.sizes.items() if count)
        return f"FaceModel({self.name} {self.version}, {len(self.verts)} vertices, {sizes}, {self.license})"

    @property
    def device(self) -> torch.device:
        """Where all of its tensors are."""
        return self.verts.device

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of coefficients: identity, expression, albedo; and of joints."""
        return {
            "identity": self.identity_basis.shape[0],
            "expression": self.expression_basis.shape[0],
            "albedo": self.albedo_basis.shape[0],
            "joints": 0 if self.skeleton is None else len(self.skeleton.names),
        }

    def shape(
        self, identity: Tensor, expression: Tensor, gaze: Tensor | None = None, joints: Tensor | None = None
    ) -> Tensor:
        """Vertices in model space.

        Args:
            identity: (B, I) standard deviations.
            expression: (B, E) activations or standard deviations.
            gaze: (B, 2, 2) radians: right and left eye; yaw (positive looks to the subject's left, +x) and pitch
                (positive looks up).
            joints: (B, J, 3) radians, rotation vectors; of neck and jaw, where the model has them.
        Returns:
            (B, V, 3) mm.
        Source: Wang et al. 2024, eq. 1.
        """
        verts = self._decoded(identity, expression) if self.decoder is not None else self._summed(identity, expression)
        skeleton = self.skeleton
        if gaze is not None and (skeleton is None or not set(EYES) & set(skeleton.names)):
            verts = self._turn_eyes(verts, gaze)
        if skeleton is None or (gaze is None and joints is None):
            return verts
        return skeleton.bend(verts, identity, skeleton.rotations(len(verts), joints, gaze))

    def _summed(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, V, 3) mm: the components' sum."""
        given = [identity, expression]
        if self.correctives is not None:
            given.append(self.correctives.coefficients(identity, expression))
        coefficients = torch.cat(given, 1)
        control = self.__dict__.get("_control")
        if control is not None:
            return control(coefficients)
        basis = derived(self, "stacked basis", _stacked_basis)
        return affine_rows(self.verts.reshape(1, -1), coefficients, basis).reshape(-1, *self.verts.shape)

    def _decoded(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, V, 3) mm out of the network; with the components' expressions where it has none."""
        assert self.decoder is not None
        verts = self.verts + self.decoder.offsets(identity, expression)
        if self.decoder.moves_face:
            return verts
        basis = self.expression_basis.reshape(len(self.expression_basis), -1)
        return verts + affine_rows(verts.new_zeros(1, 1), expression, basis).reshape(verts.shape)

    def with_expressions(self, basis: Tensor) -> FaceModel:
        """The model whose expressions are these (E, V, 3) mm, the same for everybody."""
        decoder = None if self.decoder is None else self.decoder.without_expression()
        return replace(self, expression_basis=basis, correctives=None, decoder=decoder)

    def expressions(self, identity: Tensor) -> Tensor:
        """(I,) standard deviations -> (E, V, 3) mm: what each expression at 1 does to this person."""
        if self.decoder is not None and self.decoder.moves_face:
            each = torch.eye(self.sizes["expression"], dtype=identity.dtype, device=identity.device)
            faces = self._decoded(identity.expand(len(each) + 1, -1), torch.cat([torch.zeros_like(each[:1]), each]))
            return faces[1:] - faces[:1]
        if self.correctives is None:
            return self.expression_basis
        return self.expression_basis + self.correctives.of_expressions(identity, len(self.expression_basis))

    def albedo(self, albedo: Tensor) -> Tensor:
        """(B, A) standard deviations -> (B, V, 3) sRGB-encoded reflectance; not clamped."""
        if self.decoder is not None and self.decoder.colours is not None:
            return self.decoder.reflectance(albedo)
        count = self.verts.shape[0]
        basis = self.albedo_basis.reshape(self.albedo_basis.shape[0], 3 * count)
        return affine_rows(self.albedo_mean.reshape(1, -1), albedo, basis).reshape(-1, count, 3)

    def landmarks(self, verts: Tensor) -> Tensor:
        """(B, V, 3) vertices -> (B, L, 3) the model's landmarks on that surface."""
        if verts.device.type == "cpu":
            return derived(self, "landmark map", _landmark_map)(verts)
        corners = verts[:, self.faces[self.landmark_faces]]
        return (corners * self.landmark_bary[None, :, :, None]).sum(2)

    def dense_points(self, verts: Tensor) -> Tensor:
        """(B, V, 3) vertices -> (B, S, 3) the observed points on that surface, anywhere where the model has none.

        Raises:
            ValueError: the model has no such points.
        """
        if self.dense_faces is None or self.dense_bary is None:
            raise ValueError(f"{self.name} has no dense points; see facefit.model.face_model for the format")
        if verts.device.type == "cpu":
            return derived(self, "dense point map", _dense_point_map)(verts)
        corners = verts[:, self.faces[self.dense_faces.clamp_min(0)]]
        return (corners * self.dense_bary[None, :, :, None]).sum(2)

    def to(self, device: torch.device | str) -> FaceModel:
        """The same model on another device; the model itself where it is there already."""
        if self.device == torch.device(device):
            return self  # keeps what was derived from the model
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        kinds = (Tensor, Skeleton, Correctives, Decoder)
        moved |= {name: value.to(device) for name, value in moved.items() if isinstance(value, kinds)}
        return FaceModel(**moved)

    def _turn_eyes(self, verts: Tensor, gaze: Tensor) -> Tensor:
        turns = gaze_rotation(gaze.reshape(-1, 2)).reshape(-1, 2, 3, 3).transpose(2, 3)
        for eye, index in derived(self, "eyeballs", _eyeballs):
            ball = verts.index_select(1, index)  # not verts[:, index]: that one's gradient is slow
            if self.eyeball_weight is None:
                centre = ball.mean(1, keepdim=True)
            else:
                centre = (ball * self.eyeball_weight[index, None]).sum(1, keepdim=True)
            verts = verts.index_copy(1, index, (ball - centre) @ turns[:, eye] + centre)
        return verts


def _landmark_map(model: FaceModel) -> SparseMap:
    triangles = model.faces[model.landmark_faces].numpy()
    return SparseMap.from_rows(triangles, model.landmark_bary.numpy(), len(model.verts))


def _dense_point_map(model: FaceModel) -> SparseMap:
    assert model.dense_faces is not None and model.dense_bary is not None
    triangles = model.faces[model.dense_faces.clamp_min(0)].numpy()
    return SparseMap.from_rows(triangles, model.dense_bary.numpy(), len(model.verts))


def _stacked_basis(model: FaceModel) -> Tensor:
    """(I + E + K, V * 3) mm."""
    bases = [model.identity_basis, model.expression_basis]
    if model.correctives is not None:
        bases.append(model.correctives.basis)
    return torch.cat(bases).reshape(-1, model.verts.numel())


def _eyeballs(model: FaceModel) -> list[tuple[int, Tensor]]:
    """The eyes there are, 0 right and 1 left, and the vertices of each."""
    found = [(eye, (model.eyeball == eye + 1).nonzero()[:, 0]) for eye in (0, 1)]
    return [(eye, index) for eye, index in found if len(index)]


@dataclass(frozen=True)
class Control:
    """The shape of a subdivided model from its control vertices: a quarter of the numbers to read at every call.

    Kept beside the fields and not as one: a model with other bases (dataclasses.replace) or on another device does
    without it.
    """

    mean: Tensor  # (1, C * 3)
    basis: Tensor  # (I + E + K, C * 3)
    subdivision: SparseMap

    def __call__(self, coefficients: Tensor) -> Tensor:
        """(B, I + E + K) -> (B, V, 3)."""
        control = affine_rows(self.mean, coefficients, self.basis)
        return self.subdivision(control.reshape(-1, self.subdivision.inputs, 3))
