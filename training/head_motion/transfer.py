"""Expressions of one head as motion of the control vertices of another, which was registered to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu

from facefit.anatomy.parts import LABEL
from facefit.convert.convert import Shown, convert
from facefit.convert.regions import regions
from facefit.geometry.camera import Camera
from facefit.geometry.mesh_graph import edge_matrix, polygon_sides
from facefit.geometry.triangles import triangle_weights
from facefit.importers.default_head.makehuman import BaseMesh
from facefit.importers.default_head.motion import jaw_motion, jaw_share
from facefit.model.face_model import FaceModel
from facefit.scene.parameters import Parameters
from facefit.scene.scene import Scene

FAR = 3.0  # mm between the registered surfaces; further apart, nothing is told
STIFFNESS = 0.03  # of the motion's second differences, against a vertex that is told
INSIDE, ANCHOR = 3, 0.3  # steps behind the lips from which the mouth's lining goes with the jaw, and how firmly
SHELL = ("skin", "neck", "mouth")


@dataclass(frozen=True)
class Matches:
    """Where vertices of one model lie on another's surface.

    Attributes:
        vertex: (N,) of the one; triangle: (N, 3) vertices of the other; share: (N, 3) of its corners.
        distance: (N,) mm. rotation (3, 3), shift (3,) mm: from the one's space to the other's.
    """

    vertex: np.ndarray
    triangle: np.ndarray
    share: np.ndarray
    distance: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray


def register(source: FaceModel, model: FaceModel) -> Matches:
    """Vertices of the model's skin on the source's mean face, region by region (`facefit.convert`)."""
    at_rest = Parameters.zeros(source.sizes)
    camera = Camera(torch.full((1, 2), 1000.0), torch.full((1, 2), 256.0))
    scene = Scene(source, at_rest, camera, exact=True)
    found, where, shown = convert(scene, model), regions(model), Shown(scene)
    vertex = np.flatnonzero(where.skin)
    distance, closest, face = shown.surface(found.verts_in("model")[vertex], where.vertex[vertex])
    triangle = shown.surface.faces[face]
    share = triangle_weights(closest, source.verts.double().numpy()[triangle])
    motion = found.motion
    return Matches(vertex, triangle, share, distance, motion.rotation, motion.translation)


def twin(name: str) -> str:
    """The expression of the other side; itself where there is none."""
    for a, b in (("Left", "Right"), ("Right", "Left")):
        if a in name:
            return name.replace(a, b)
    return name


def seen_motion(source: FaceModel, model: FaceModel, matches: Matches, names: list[str]) -> np.ndarray:
    """(E, V, 3) mm: what the source's expressions of these names, or the sum of both sides' where it has two of one, do
    at the model's vertices; both halves of the face made alike."""
    basis, known = source.expression_basis.double().numpy(), list(source.expression_names)
    out = np.zeros((len(names), len(model.verts), 3))
    for number, name in enumerate(names):
        parts = [name] if name in known else [name + "Left", name + "Right"]
        whole = sum(basis[known.index(part)] for part in parts)
        out[number, matches.vertex] = np.einsum("nkx,nk->nx", whole[matches.triangle], matches.share) @ matches.rotation
    mirrored = out[[names.index(twin(name)) for name in names]][:, model.symmetry.numpy()] * [-1, 1, 1]
    return (out + mirrored) / 2


def lower_teeth(source: FaceModel) -> np.ndarray:
    """Vertices inside the mouth that its `jawOpen` moves whole: the lower teeth and their gums."""
    inside = np.flatnonzero(source.vertex_label.numpy() == LABEL["mouth_inside"])
    moved = source.expression_basis[list(source.expression_names).index("jawOpen"), inside].norm(dim=1).numpy()
    return inside[moved > 0.9 * np.quantile(moved, 0.95)]


def jaw_motions(source: FaceModel, matches: Matches, names: list[str]) -> np.ndarray:
    """(E, 3, 4) the rigid motion of the jaw in each expression, in the model's space."""
    teeth, known = lower_teeth(source), list(source.expression_names)
    place = (source.verts.double().numpy()[teeth] - matches.shift) @ matches.rotation
    out = np.zeros((len(names), 3, 4))
    for number, name in enumerate(names):
        parts = [name] if name in known else [name + "Left", name + "Right"]
        whole = sum(source.expression_basis[known.index(part), teeth].double().numpy() for part in parts)
        rotation, shift = jaw_motion(place, place + whole @ matches.rotation)
        out[number] = np.concatenate([rotation, shift[:, None]], 1)
    return out


def head_motion(
    source: FaceModel, model: FaceModel, control: np.ndarray, matrix: sparse.csr_matrix, base: BaseMesh,
    units: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:  # fmt: skip
    """The arrays that `facefit.importers.default_head.motion.with_motion` reads.

    Args:
        model: the default head; control: (C, 3) mm its control vertices, those of `base`, and matrix (V, C) what makes
            its vertices of them; units: the base mesh's face units.
    """
    known = set(source.expression_names)
    names = sorted(n for n in units if {n, n + "Left"} & known)
    matches = register(source, model)
    motion, jaw = seen_motion(source, model, matches, names), jaw_motions(source, matches, names)
    shell = np.unique(base.quads[np.isin(base.group, SHELL)])
    lower = np.unique(base.quads[base.group == "lower_teeth"])
    share = jaw_share(control, units["jawOpen"], lower)[shell]
    whole = np.einsum("exy,ny->enx", jaw[:, :, :3], control[shell]) + jaw[:, None, :, 3] - control[shell]
    told = np.zeros(len(model.verts))
    told[matches.vertex] = np.clip(2 * (1 - matches.distance / FAR), 0, 1)
    skin = control_motion(matrix, base, shell, control, motion, told, share[:, None] * whole)
    return {
        "names": np.array(names), "vertex_ids": base.vertex_ids[shell], "skin": skin.astype(np.float32), "jaw": jaw,
        "license": np.str_("MIT, Copyright (c) 2020 USC Institute for Creative Technologies"),
    }  # fmt: skip


def control_motion(
    matrix: sparse.csr_matrix, base: BaseMesh, shell: np.ndarray, control: np.ndarray, motion: np.ndarray,
    told: np.ndarray, inside: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(E, N, 3) mm of the control vertices `shell` (N,): smooth, and at the fine vertices what is told (weights (V,))
    of their motion (E, V, 3); deep in the mouth as `inside` (E, N, 3)."""
    local = np.full(len(control), -1)
    local[shell] = np.arange(len(shell))
    quads = local[base.quads[np.isin(base.group, SHELL)]]
    sides = np.unique(np.sort(polygon_sides(quads), 1), axis=0)
    length = np.linalg.norm(control[shell][sides[:, 0]] - control[shell][sides[:, 1]], axis=1)
    graph = edge_matrix(sides, 1 / np.maximum(length, 0.3), len(shell))
    laplacian = sparse.eye(len(shell)) - sparse.diags(1 / np.asarray(graph.sum(1)).ravel()) @ graph
    deep = np.isin(shell, np.setdiff1d(base.quads[base.group == "mouth"], base.quads[base.group == "skin"]))
    for _ in range(INSIDE):
        deep &= ~((graph @ (~deep).astype(float)) > 0)
    rows = np.flatnonzero(told > 0)
    fine = matrix[rows][:, shell]
    weighed = fine.T @ sparse.diags(told[rows])
    system = weighed @ fine + STIFFNESS * laplacian.T @ laplacian + sparse.diags(ANCHOR * deep + 1e-9)
    solver = splu(sparse.csc_matrix(system))
    right = np.stack([weighed @ m[rows] for m in motion]) + ANCHOR * deep[:, None] * inside
    return np.stack([solver.solve(r) for r in right])


MOVED = 0.5  # mm at activation 1; points that the source moves less are not compared
NEAR = 2.0  # mm between the registered surfaces of points that are


def differences(source: FaceModel, model: FaceModel) -> dict[str, tuple[float, float, float, float]]:
    """Name -> mm, rms over the points of the face that the source moves: its motion, the model's, the difference, and
    the difference with the model's motion at its best amplitude."""
    matches, where = register(source, model), regions(model)
    known = set(source.expression_names)
    names = [name for name in model.expression_names if {name, name + "Left"} & known]
    theirs = seen_motion(source, model, matches, names)
    chosen = matches.vertex[(matches.distance < NEAR) & where.inner[matches.vertex]]
    out = {}
    for number, name in enumerate(names):
        there = theirs[number, chosen]
        here = model.expression_basis[model.expression_names.index(name), chosen].double().numpy()
        moved = np.linalg.norm(there, axis=1) > MOVED
        best = (here * there).sum() / max((here**2).sum(), 1e-9)
        kinds = (there, here, here - there, best * here - there)
        out[name] = tuple(float(np.sqrt((kind[moved] ** 2).sum(1).mean())) for kind in kinds)
    return out
