"""What both forms of the landmark stage start from: the model's directions at its landmarks, and one problem."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..compute.derived import derived
from ..compute.sparse_map import SparseMap
from ..geometry.camera import Camera
from ..model.face_model import FaceModel
from ..scene.joint_basis import joint_basis
from ..scene.landmarks import contour_stop
from ..scene.parameters import Parameters
from .config import FitConfig
from .dense_rows import DenseRows

POSE = 6  # unknowns

IMMOVABLE = 1e9  # precision of what is fixed; landmarks give some 1e5

DAMPING = (1e-6, 1e-5, 1e-4)  # of a system's diagonal: the next where rounding has left it without a unique solution

POSE_ITERATIONS = 3  # of the pose alone, before anything else moves


class LandmarkBasis:
    """What the landmark stage needs of a model whatever the photo: landmarks and contour as affine functions of the
    coefficients. Those of a decoder are affine only near one code: `at` makes the basis of another one.

    The coefficients are identity, joints (three a turned joint, what they do to the surface linearised at rest) and
    expression, side by side: N = I + 3 T + E.

    Attributes:
        first_expression: I + 3 T, the place of the first expression.
        landmark_mean: (L, 3) mm; landmark_basis: (L, 3, N).
        row_mean: (K, 3) mm of the contour rows' vertices that marching may choose; row_basis: (K, 3, N).
        landmark_corrective: (L, 3, K), row_corrective: (K', 3, K) mm of the model's correctives, K = 0 without; their
            coefficients are products of two others (`corrective`), which the Jacobian leaves out.
        local_rows: (R, C) the contour's rows as places among those K, -1 pads.
        Of several faces with bases of their own, means and bases have a batch in front (`at_each`).
    """

    def __init__(self, model: FaceModel) -> None:
        joints = joint_basis(model)
        bases = (model.identity_basis, joints, model.expression_basis)
        self.first_expression = len(model.identity_basis) + len(joints)
        # of the contour's rows only what marching may choose
        stop = contour_stop(model).clamp_min(0)
        rows = model.contour_rows[:, : int(stop.max()) + 1]
        rows = torch.where(torch.arange(rows.shape[1], device=rows.device) <= stop[:, None], rows, -1)
        self.local_rows = torch.full_like(rows, -1)
        self.local_rows[rows >= 0] = torch.arange(int((rows >= 0).sum()), device=rows.device)
        row_vertices = rows[rows >= 0]
        # points first, then x, y, z, then coefficients: the order in which the Jacobian is filled
        self.landmark_mean = model.landmarks(model.verts[None])[0]
        self.landmark_basis = torch.cat([model.landmarks(basis) for basis in bases]).permute(1, 2, 0).contiguous()
        self.row_mean = model.verts[row_vertices]
        row_basis = torch.cat([basis[:, row_vertices] for basis in bases])
        self.row_basis = row_basis.permute(1, 2, 0).contiguous()
        self._identity, self._correctives = len(model.identity_basis), model.correctives
        more = model.verts.new_zeros(0, *model.verts.shape) if model.correctives is None else model.correctives.basis
        self.landmark_corrective = model.landmarks(more).permute(1, 2, 0).contiguous()
        self.row_corrective = more[:, row_vertices].permute(1, 2, 0).contiguous()
        self._decoder, self._activation = model.decoder, model.activation
        if model.decoder is not None:
            corners = torch.cat([model.faces[model.landmark_faces], row_vertices[:, None].expand(-1, 3)])
            whole = model.landmark_bary.new_tensor([1.0, 0.0, 0.0]).expand(len(row_vertices), -1)
            bary = torch.cat([model.landmark_bary, whole])
            points = SparseMap.from_rows(corners.cpu().numpy(), bary.cpu().numpy(), len(model.verts))
            self._points = model.decoder.at(points)
            decoded = [*range(self._identity)]
            if model.decoder.moves_face:
                decoded += range(self.first_expression, self.count)
            self._decoded = torch.tensor(decoded, device=model.device)  # the coefficients that the decoder is given

    def at(self, coefficients: Tensor) -> LandmarkBasis:
        """The basis near a code (N,): the same for a linear model. At code 0 it is the one of the model file."""
        if self._decoder is None or not coefficients.any():
            return self
        of_model = coefficients.to(self.landmark_mean)
        code = of_model[: self._identity], of_model[self.first_expression :]
        offsets, *slopes = self._decoder.linearised(*code, self._points, self._activation)
        slope = torch.stack(slopes, -1)  # (P, 3, n)
        shift = offsets - slope @ of_model[self._decoded]
        marks, made = len(self.landmark_mean), copy(self)
        made.landmark_mean, made.row_mean = self.landmark_mean + shift[:marks], self.row_mean + shift[marks:]
        made.landmark_basis = self.landmark_basis.index_copy(2, self._decoded, slope[:marks])
        made.row_basis = self.row_basis.index_copy(2, self._decoded, slope[marks:])
        return made

    def at_each(self, coefficients: Tensor) -> LandmarkBasis:
        """The bases near codes (B, N), one a face; this one for a linear model."""
        if self.everywhere:
            return self
        each, made = [self.at(code) for code in coefficients], copy(self)
        for name in ("landmark_mean", "row_mean", "landmark_basis", "row_basis"):
            setattr(made, name, torch.stack([getattr(one, name) for one in each]))
        return made

    def points(self, coefficients: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) -> landmarks (B, L, 3) and the contour rows' vertices (B, K, 3), mm."""
        more = self.corrective(coefficients)

        def moved(mean: Tensor, moves: Tensor, correctives: Tensor) -> Tensor:
            if moves.ndim == 4:
                return mean + (moves @ coefficients[:, None, :, None])[..., 0]
            by = coefficients @ moves.flatten(0, 1).T + more @ correctives.flatten(0, 1).T
            return (mean.reshape(-1) + by).reshape(len(coefficients), -1, 3)

        return (
            moved(self.landmark_mean, self.landmark_basis, self.landmark_corrective),
            moved(self.row_mean, self.row_basis, self.row_corrective),
        )

    def rows(self, chosen: Tensor) -> Tensor:
        """(B, R) places among the K -> (B, R, 3, N) their bases."""
        if self.row_basis.ndim == 3:
            return self.row_basis[chosen]
        return self.row_basis[torch.arange(len(chosen), device=chosen.device)[:, None], chosen]

    @property
    def everywhere(self) -> bool:
        """Whether it is the same at every code: a linear model's."""
        return self._decoder is None

    @property
    def count(self) -> int:
        """N."""
        return self.landmark_basis.shape[-1]

    def corrective(self, coefficients: Tensor) -> Tensor:
        """(B, N) -> (B, K) coefficients of the correctives."""
        if self._correctives is None:
            return coefficients.new_zeros(len(coefficients), 0)
        expression = coefficients[:, self.first_expression :]
        return self._correctives.coefficients(coefficients[:, : self._identity], expression)


def landmark_basis(model: FaceModel) -> LandmarkBasis:
    """The model's basis, made once."""
    return derived(model, "landmark basis", LandmarkBasis)


@dataclass(frozen=True)
class LandmarkProblem:
    """What the stage is to solve for B faces.

    The energy is that of the full stage's landmark, identity and expression terms, so the full stage starts where those
    three agree.

    Attributes:
        landmarks: (B, L, 2) and confidence (B, L), in the pixels of `camera` (a window's).
        dense: what a network saw of the faces beside landmarks; None: nothing.
        start: identity, joints and expression to begin with; None: the mean face.
        fixed: those of them that stay as they are at the start.
        expected: (B, I) the middle of the identity's prior; None: the mean face.
    """

    model: FaceModel
    landmarks: Tensor
    confidence: Tensor
    camera: Camera
    config: FitConfig
    dense: DenseRows | None = None
    start: Parameters | None = None
    fixed: Sequence[str] = ()
    expected: Tensor | None = None

    @property
    def basis(self) -> LandmarkBasis:
        """What the stage needs of the model, made once."""
        return landmark_basis(self.model)

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision and slope (N,) of the coefficients' priors. What is `fixed` has a precision that no landmark can
        move."""
        model, weights = self.model, self.config.weights
        about = weights.identity if self.expected is None else weights.expected
        precision, slope = np.full(self.basis.count, about), np.zeros(self.basis.count)
        parts = self.parts()
        if model.skeleton is not None:
            spread = model.skeleton.spread()[model.skeleton.turned].reshape(-1).cpu().double().numpy()
            precision[parts["joints"]] = weights.joints / spread**2
        scale = self.config.activation_scale if model.activation else 1.0
        precision[parts["expression"]] = weights.expression / scale**2
        if model.activation:
            slope[parts["expression"]] = 0.5 * weights.sparsity / scale
        for name, part in parts.items():
            if name in self.fixed:
                precision[part], slope[part] = IMMOVABLE, 0
        return precision, slope

    def middle(self) -> Tensor:
        """(B, N) where the priors are centred: at 0, the expected identity, or the start of what is `fixed`."""
        known, parts = self.known(), self.parts()
        middle = torch.zeros_like(known)
        if self.expected is not None:
            middle[:, parts["identity"]] = self.expected.to(known)
        for name in set(self.fixed) & set(parts):
            middle[:, parts[name]] = known[:, parts[name]]
        return middle

    def parts(self) -> dict[str, slice]:
        """Where each parameter lies among the coefficients."""
        count_i, first = self.model.sizes["identity"], self.basis.first_expression
        return {"identity": slice(0, count_i), "joints": slice(count_i, first), "expression": slice(first, None)}

    def known(self) -> Tensor:
        """(B, N) coefficients of the start, or the mean face's."""
        coefficients = self.landmarks.new_zeros(len(self.landmarks), self.basis.count)
        if self.start is not None:
            turned = () if self.model.skeleton is None else self.model.skeleton.turned
            parts = self.parts()
            coefficients[:, parts["identity"]] = self.start.identity.to(coefficients)
            coefficients[:, parts["joints"]] = self.start.joints[:, list(turned)].flatten(1).to(coefficients)
            coefficients[:, parts["expression"]] = self.start.expression.to(coefficients)
        return coefficients

    def joints(self, coefficients: Tensor) -> Tensor:
        """(B, N) coefficients -> (B, J, 3) turns of all joints, those that nothing turns at rest."""
        turns = coefficients[:, self.parts()["joints"]]
        joints = turns.new_zeros(len(turns), self.model.sizes["joints"], 3)
        if self.model.skeleton is not None:
            joints[:, self.model.skeleton.turned] = turns.reshape(len(turns), -1, 3)
        return joints
