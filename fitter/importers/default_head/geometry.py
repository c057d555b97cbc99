"""The default model's geometry: which quads, how they are subdivided, how they lie in texture space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ...geometry.subdivide import catmull_clark, linear, triangulate
from ...geometry.unwrap import boundary_loops, unwrap_disc
from .makehuman import BaseMesh

STRIP = 0.12  # share of the texture's height kept for the small pieces
EYES = ("right_eye", "left_eye")
TEETH = ("upper_teeth", "lower_teeth")
MARGIN = 0.004  # free texels around each piece: four at 1024


@dataclass(frozen=True)
class Geometry:
    """The fine mesh over C control vertices.

    Attributes:
        base: the control mesh.
        matrix: (V, C) subdivision.
        faces: (F, 3); face_group: (F,) name of the piece; uv: (T, 2); uv_faces: (F, 3).
        symmetry: (V,) mirrored vertex; control_symmetry: (C,).
        vertex_group: (V,) name of the piece.
        vertex_point: (C,) the fine vertex that each control vertex has become; -1 where it was subdivided twice.
    """

    base: BaseMesh
    matrix: csr_matrix
    faces: np.ndarray
    face_group: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    symmetry: np.ndarray
    control_symmetry: np.ndarray
    vertex_group: np.ndarray
    vertex_point: np.ndarray


def mirror_map(verts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(N,) index of each vertex's mirror image in x, matched inside the same piece (eyes: the other eye).

    Args:
        verts: (N, 3) mm; group: (N,) name of each vertex's piece.
    Raises:
        ValueError: the mesh is not symmetric.
    """
    from scipy.spatial import cKDTree

    out = np.full(len(verts), -1)
    other = {"right_eye": "left_eye", "left_eye": "right_eye"}
    for name in np.unique(group):
        mine = np.flatnonzero(group == name)
        theirs = np.flatnonzero(group == other.get(name, name))
        distance, at = cKDTree(verts[theirs]).query(verts[mine] * [-1, 1, 1])
        out[mine] = theirs[at]
        if distance.max() > 0.5:
            raise ValueError(f"{name}: the mesh is not symmetric, {distance.max():.2f} mm off")
    return out


def build_geometry(base: BaseMesh) -> Geometry:
    """One Catmull-Clark level, a second on the eyeballs, whose iris needs it, and none on the teeth, whose control mesh
    is as fine as they need; UV for the head alone."""
    count = len(base.verts)
    uv, uv_quads = head_uv(base)

    teeth = np.isin(base.group, TEETH)
    matrix, quads = catmull_clark(base.quads[~teeth], count)
    uv_matrix, split_uv = linear(uv_quads[~teeth], len(uv))
    uv = uv_matrix @ uv
    group = np.concatenate([np.repeat(base.group[~teeth], 4), base.group[teeth]])
    quads, uv_quads = np.concatenate([quads, base.quads[teeth]]), np.concatenate([split_uv, uv_quads[teeth]])
    eyes = np.isin(group, EYES)
    second, eye_quads = catmull_clark(quads[eyes], matrix.shape[0])
    uv_second, uv_eye_quads = linear(uv_quads[eyes], len(uv))
    matrix = second @ matrix
    uv = uv_second @ uv
    quads = np.concatenate([quads[~eyes], eye_quads])
    uv_quads = np.concatenate([uv_quads[~eyes], uv_eye_quads])
    group = np.concatenate([group[~eyes], np.repeat(group[eyes], 4)])

    used, quads = np.unique(quads, return_inverse=True)
    vertex_point = np.full(count, -1)
    known = used < count
    vertex_point[used[known]] = np.flatnonzero(known)
    vertex_point[np.unique(base.quads[np.isin(base.group, EYES)])] = -1
    quads, matrix = quads.reshape(-1, 4), csr_matrix(matrix)[used]
    uv_used, uv_quads = np.unique(uv_quads, return_inverse=True)
    uv_quads, uv = uv_quads.reshape(-1, 4), uv[uv_used]

    verts = matrix @ base.verts
    faces, corner = triangulate(quads, verts)
    owner = np.repeat(np.arange(len(quads)), 2)
    uv_faces = uv_quads[owner[:, None], corner]
    vertex_group = np.empty(len(verts), "U12")
    vertex_group[quads.ravel()] = np.repeat(group, 4)
    control_group = np.empty(count, "U12")
    control_group[base.quads.ravel()] = np.repeat(base.group, 4)
    merge = {"neck": "skin", "mouth": "skin"}  # one surface: their borders share vertices
    joined, control_joined = vertex_group.copy(), control_group.copy()
    for a, b in merge.items():
        joined[joined == a], control_joined[control_joined == a] = b, b
    return Geometry(
        base=base,
        matrix=matrix,
        faces=faces,
        face_group=group[owner],
        uv=uv.astype(np.float32),
        uv_faces=uv_faces,
        symmetry=mirror_map(verts, joined),
        control_symmetry=mirror_map(base.verts, control_joined),
        vertex_group=vertex_group,
        vertex_point=vertex_point,
    )


def head_uv(base: BaseMesh) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of the control quads: skin and neck as one disc above, the small pieces in a strip below.

    Returns: (T, 2) in [0, 1] with v up, and (Q, 4) texture quads.
    """
    shell = np.isin(base.group, ("skin", "neck"))
    cut_quads, position, source = _cut_behind(base.quads[shell], base.verts)
    triangles = np.concatenate([cut_quads[:, [0, 1, 2]], cut_quads[:, [0, 2, 3]]])
    loop = boundary_loops(triangles)[0]
    uv = _disc_boundary(position, loop, source)
    density = _density(position, base)
    shell_uv = unwrap_disc(position, triangles, loop, uv, density)
    shell_uv = MARGIN + shell_uv * [1 - 2 * MARGIN, 1 - STRIP - 2 * MARGIN] + [0, STRIP]

    uv_quads = np.empty_like(base.quads)
    uv_quads[shell] = cut_quads
    all_uv, offset = [shell_uv], len(shell_uv)
    # x range in the strip of each small piece; the eyes get the most, they are looked at
    ranges = {
        "right_eye": (0.0, 0.24), "left_eye": (0.24, 0.48), "mouth": (0.48, 0.66), "tongue": (0.66, 0.72),
        "upper_teeth": (0.72, 0.86), "lower_teeth": (0.86, 1.0),
    }  # fmt: skip
    for name, (left, right) in ranges.items():
        rows = base.group == name
        ids, local = np.unique(base.uv_quads[rows], return_inverse=True)
        piece = base.uv[ids]
        piece = (piece - piece.min(0)) / (piece.max(0) - piece.min(0))
        if name in ("right_eye", "left_eye"):
            piece = _eye_uv(base, rows, ids, local.reshape(-1, 4))
        low = np.array([left, 0.0]) + MARGIN
        size = np.array([right - left, STRIP]) - 2 * MARGIN
        all_uv.append(low + piece * size)
        uv_quads[rows] = local.reshape(-1, 4) + offset
        offset += len(ids)
    return np.concatenate(all_uv), uv_quads


def _eye_uv(base: BaseMesh, rows: np.ndarray, ids: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Front half of an eyeball on the left of its cell, back half on the right, each seen along the optical axis."""
    vertex = np.empty(len(ids), int)
    vertex[local.ravel()] = base.quads[rows].ravel()
    p = base.verts[vertex]
    centre = base.verts[np.unique(base.quads[rows])].mean(0)
    d = (p - centre) / np.linalg.norm(p - centre, axis=1, keepdims=True)
    quad_front = base.verts[base.quads[rows]].mean(1)[:, 2] > centre[2]
    front = np.zeros(len(ids), bool)
    front[local[quad_front].ravel()] = True
    angle = np.arccos(np.clip(np.where(front, d[:, 2], -d[:, 2]), -1, 1)) / (np.pi / 2)  # equidistant azimuthal
    radial = d[:, :2] / np.maximum(np.linalg.norm(d[:, :2], axis=1, keepdims=True), 1e-9)
    flat = 0.5 + 0.5 * np.minimum(angle, 1)[:, None] * radial
    gap = 0.02
    across = np.where(front, flat[:, 0], 1 - flat[:, 0])  # the back is seen from behind, or it would be mirrored
    return np.stack([np.where(front, 0, 0.5 + gap) + across * (0.5 - gap), flat[:, 1]], 1)


def _cut_behind(quads: np.ndarray, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open the surface along its midline behind the crown. Returns quads into (N, 3) positions, and the (N,) vertex
    each came from."""
    ids, local = np.unique(quads, return_inverse=True)
    local, position = local.reshape(-1, 4), verts[ids]
    crown = np.flatnonzero(np.abs(position[:, 0]) < 1e-3)
    crown = crown[position[crown, 1].argmax()]
    seam = np.flatnonzero((np.abs(position[:, 0]) < 1e-3) & (position[:, 2] < position[crown, 2] - 1e-6))
    twin = np.full(len(ids), -1)
    twin[seam] = len(ids) + np.arange(len(seam))
    right = position[local].mean(1)[:, 0] < 0
    cut = local.copy()
    cut[right] = np.where(twin[local[right]] >= 0, twin[local[right]], local[right])
    return cut, np.concatenate([position, position[seam]]), np.concatenate([ids, ids[seam]])


def _disc_boundary(position: np.ndarray, loop: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Where the boundary goes: the crown at the top centre, the cut along the top and the sides, the neck below."""
    crown = position[loop][:, 1].argmax()
    loop_order = np.roll(np.arange(len(loop)), -crown)
    p = position[loop[loop_order]]
    step = np.linalg.norm(np.diff(np.concatenate([p, p[:1]]), axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(step)])
    # the loop leaves the crown down one side of the cut, goes around the neck, and comes up the other side
    cut = source[loop[loop_order]]
    is_seam = np.bincount(cut, minlength=source.max() + 1)[cut] == 2
    end = int(np.flatnonzero(~is_seam[1:])[0]) + 1 - 1
    back = len(p) - int(np.flatnonzero(~is_seam[1:][::-1])[0]) - 1 + 1
    corners = np.array([[0.5, 1], [0, 1], [0, 0], [1, 0], [1, 1], [0.5, 1]], float)
    if p[min(len(p) - 1, (end + back) // 4 + 1), 0] > 0:  # runs down the subject's left first: mirrored
        corners[:, 0] = 1 - corners[:, 0]
    corner_length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    # cut side -> half of the top and one side; neck -> the bottom
    knots_in = np.array([along[0], along[end], along[back], along[-1]])
    knots_out = np.array([0, corner_length[2], corner_length[3], corner_length[5]])
    t = np.interp(along[:-1], knots_in, knots_out)
    uv = np.stack([np.interp(t, corner_length, corners[:, k]) for k in (0, 1)], 1)
    # sides a little convex, or a triangle with three boundary vertices would have no area
    centred = 2 * uv - 1
    uv = 0.5 + 0.5 * centred * (1 - 0.03 * centred[:, ::-1] ** 2)
    out = np.empty_like(uv)
    out[loop_order] = uv
    return out


def _density(position: np.ndarray, base: BaseMesh) -> np.ndarray:
    """Wanted texels per mm, relative: 1 on the back of the head, 2.2 on the face, more around eyes and mouth."""
    eyes = [base.verts[np.unique(base.quads[base.group == n])].mean(0) for n in ("right_eye", "left_eye")]
    middle = (eyes[0] + eyes[1]) / 2
    mouth = middle + [0, -65, 10]
    reach = np.linalg.norm((position - (middle + [0, -30, 0])) / [75, 95, 60], axis=1)
    density = 1 + 1.2 / (1 + np.exp((reach - 1.15) / 0.12))
    for centre, radius, gain in ((eyes[0], 28, 0.8), (eyes[1], 28, 0.8), (mouth, 32, 0.6)):
        density += gain * np.exp(-(((position - centre) / radius) ** 2).sum(1))
    return density
