"""Who people are, as a Gaussian of identity coefficients: made of another model's people by training.people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ...errors import ModelError
from ...geometry.mesh_graph import edge_matrix, polygon_sides
from .head import Head, reach_of_face

STRIDE = 50  # of the control vertices that are compared

TOLD = 1.15  # of the face's reach; at 1 a part of cheeks and jaw is smoothed too: AUC of photos .908 instead of .916

LOOSE = 1e-3  # how much a displacement behind the face counts against its second differences there: ears keep their
# form, the skull still goes with the face

SAME = 0.3  # mm, of a component: anatomy changes a little at lids and lips, a turned sign some millimetres


FIRM = 0.02  # how much a displacement that the throat was told counts against its second differences

FAINT = 1e-6  # the same of what it was told nothing of, so that there is a solution


@dataclass(frozen=True)
class Throat:
    """Where the skin under the jaw belongs, jaw to neck.

    Attributes:
        shift: (V, 3) mm, from the mean of the model it was made for. told: (V,) in [0, 1], how much it counts; where 0
            nothing moves.
    """

    shift: np.ndarray
    told: np.ndarray


@dataclass(frozen=True)
class IdentityPrior:
    """A Gaussian of identity coefficients.

    Attributes:
        mean: (I,) deviations of the model it was made for.
        root: (I, I), coefficients = mean + root @ z for z of unit variance; its columns are the principal directions of
            the face in mm, the largest first.
        about: whose people they are (name, license, provenance), and `rms`, mm, of a face's vertices: `shift` of the
            mean, `people` around theirs, and what of either the components cannot show, `shift_left`, `people_left`.
        probe: (I, N, 3) mm, that model's components at every STRIDE-th control vertex: of other components the
            coefficients mean something else, and a rebuild on another machine may turn the sign of one.
        throat: of their mean, on the V vertices of the subdivided mesh.
    """

    mean: np.ndarray
    root: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)
    probe: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))
    throat: Throat = field(default_factory=lambda: Throat(np.zeros((0, 3)), np.zeros(0)))

    def applied(self, mean: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (C, 3) and basis (I, C, 3) of a model whose coefficients are z."""
        return mean + np.tensordot(self.mean, basis, 1), np.tensordot(self.root.T, basis, 1)

    def save(self, path: Path) -> None:
        """As an .npz that `load` reads."""
        np.savez_compressed(
            path, mean=self.mean, root=self.root, probe=self.probe, about=np.array(json.dumps(self.about)),
            throat=self.throat.shift, throat_told=self.throat.told,
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> IdentityPrior:
        """What `save` has written."""
        with np.load(path, allow_pickle=False) as file:
            throat = Throat(file["throat"], file["throat_told"])
            return cls(file["mean"], file["root"], json.loads(str(file["about"])), file["probe"], throat)


def with_people(
    head: Head, prior: IdentityPrior, mirror: np.ndarray, landmarks: np.ndarray, matrix: sparse.spmatrix
) -> Head:
    """The head with those people's mean, made symmetric, its throat and components; behind the face all is smooth.

    Args:
        mirror: (C,) each control vertex's mirror image. landmarks: (478, 3) mm, on the head's mean.
        matrix: (V, C) of the subdivision.
    Raises:
        ModelError: the prior was made for other components.
    """
    skin = head.only("skin")
    away = np.abs(head.identity[:, ::STRIDE] - prior.probe)[:, np.isin(np.arange(len(head.mean))[::STRIDE], skin)]
    if away.max() > SAME:
        raise ModelError(f"people of other components, which differ by {away.max():.1f} mm; see training.people")
    mean, identity = prior.applied(head.mean, head.identity)
    smooth = smooth_behind(head, np.concatenate([(mean - head.mean)[None], identity]), landmarks)
    mean = head.mean + smooth[0]
    if len(prior.throat.told):
        told = replace(prior.throat, shift=prior.throat.shift - matrix @ smooth[0])
        mean = mean + of_throat(head, told, sparse.csr_matrix(matrix))
    return replace(head, mean=(mean + mean[mirror] * [-1, 1, 1]) / 2, identity=smooth[1:])


def of_throat(head: Head, throat: Throat, matrix: sparse.csr_matrix) -> np.ndarray:
    """(C, 3) mm, the smooth displacement of control vertices that follows what the throat was told; 0 elsewhere.

    Args:
        matrix: (V, C) of the subdivision.
    """
    shell, bending = _bending(head)
    of_shell = sparse.diags(np.sqrt(throat.told)) @ matrix[:, shell]
    free = np.asarray(of_shell.power(2).sum(0)).ravel() > 0
    data = (of_shell[:, free].T @ of_shell[:, free]).tocsc()
    out = np.zeros_like(head.mean)
    solver = splu(sparse.csc_matrix(bending[free][:, free]) + FIRM * data + FAINT * sparse.eye(int(free.sum())))
    out[shell[free]] = solver.solve(FIRM * (of_shell[:, free].T @ (np.sqrt(throat.told)[:, None] * throat.shift)))
    return out


def smooth_behind(head: Head, fields: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Displacements (N, C, 3) mm that are left on the face, and smooth on skull, ears and neck.

    Only the face was told how people differ. What the sliders' components do elsewhere to follow it is made up: a
    crease at the temple, folds under the jaw, ears of three quarters of their height.
    """
    shell, bending = _bending(head)
    free = reach_of_face(head.mean[shell], landmarks) > TOLD
    if not free.any():
        return fields
    solver = splu(sparse.csc_matrix(bending[free][:, free] + LOOSE * sparse.eye(int(free.sum()))))
    pull = bending[free][:, ~free]
    out = fields.copy()
    for rough, smooth in zip(fields, out, strict=True):
        smooth[shell[free]] = solver.solve(LOOSE * rough[shell[free]] - pull @ rough[shell[~free]])
    return out


def _bending(head: Head) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Control vertices (S,) of the skin and the neck, and (S, S) the squared second differences over them."""
    groups = np.isin(head.base.group, ("skin", "neck"))
    shell = np.unique(head.base.quads[groups])
    number = np.full(len(head.mean), -1)
    number[shell] = np.arange(len(shell))
    sides = np.unique(np.sort(polygon_sides(number[head.base.quads[groups]]), 1), axis=0)
    length = np.linalg.norm(head.mean[shell[sides[:, 0]]] - head.mean[shell[sides[:, 1]]], axis=1)
    graph = edge_matrix(sides, 1 / np.maximum(length, 0.3), len(shell))
    laplacian = sparse.eye(len(shell)) - sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph
    return shell, sparse.csr_matrix(laplacian.T @ laplacian)
