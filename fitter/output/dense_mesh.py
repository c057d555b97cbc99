"""A head on a finer mesh, with its relief in the vertices: `--subdivide`.

Each level makes four triangles of one; the model's vertices stay, in their order, before the new ones. Heights move
vertices along their normals; morph targets are those of the same head without heights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from ..geometry.tessellation import curved_middles, flat_middles, split_triangles
from ..geometry.triangles import vertex_normals
from ..model.face_model import FaceModel
from .morph_targets import Morphs


@dataclass(frozen=True)
class DenseMesh:
    """A mesh after some levels.

    Attributes:
        model: what the writers of files ask a model for: its mesh and layout, and no components.
        levels: the faces (F, 3) that a level begins with, and the edges (E, 2) that it splits.
    """

    model: FaceModel
    levels: tuple[tuple[np.ndarray, np.ndarray], ...]

    def verts(self, verts: np.ndarray) -> np.ndarray:
        """(V, 3) mm of the model's mesh -> (V', 3) of this one."""
        for faces, edges in self.levels:
            verts = curved_middles(verts, faces, edges)
        return verts

    def raised(self, verts: np.ndarray, height: np.ndarray) -> np.ndarray:
        """(V', 3) vertices moved along their normals by a picture of heights (T, T) mm."""
        faces, uv = self.model.faces.numpy(), self.model.uv.double().numpy()
        at = np.zeros((len(verts), 2))
        at[faces.reshape(-1)] = uv[self.model.uv_faces.numpy().reshape(-1)]
        place = (at * (1, -1) + (0, 1)).T[::-1] * len(height) - 0.5
        moved = ndimage.map_coordinates(height, place, order=1, mode="nearest")
        return verts + moved[:, None] * vertex_normals(verts, faces)

    def morphs(self, morphs: Morphs, height: np.ndarray) -> Morphs:
        """Base and targets on this mesh, with a picture of heights (T, T) mm."""
        base = self.verts(morphs.base)
        targets = [self.verts(morphs.base + target) - base for target in morphs.targets]
        return replace(morphs, base=self.raised(base, height), targets=np.stack(targets) if targets else morphs.targets)


def dense_mesh(model: FaceModel, levels: int) -> DenseMesh:
    """A model's mesh, split so often.

    Args:
        model: on the CPU. levels: 1 or more.
    """
    faces, uv_faces, uv = model.faces.numpy(), model.uv_faces.numpy(), model.uv.double().numpy()
    verts = model.verts.double().numpy()
    label, ball = model.vertex_label.numpy(), model.eyeball.numpy()
    done = []
    for _ in range(levels):
        split, edges = split_triangles(faces, len(verts))
        verts = curved_middles(verts, faces, edges)
        label, ball = (np.concatenate([each, each[edges[:, 0]]]) for each in (label, ball))
        done.append((faces, edges))
        uv_faces, uv_edges = split_triangles(uv_faces, len(uv))
        faces, uv = split, flat_middles(uv, uv_edges)
    none = torch.zeros(0, len(verts), 3)
    empty = torch.zeros(0, dtype=torch.long)
    bare = replace(
        model, verts=torch.from_numpy(verts).float(), faces=torch.from_numpy(faces).to(model.faces.dtype),
        uv=torch.from_numpy(uv).float(), uv_faces=torch.from_numpy(uv_faces).to(model.uv_faces.dtype),
        vertex_label=torch.from_numpy(label), eyeball=torch.from_numpy(ball), identity_basis=none,
        expression_basis=none, albedo_basis=none, expression_names=(), albedo_mean=none.new_zeros(len(verts), 3),
        symmetry=torch.arange(len(verts)), part_weight=none.new_zeros(len(verts), 11), landmark_faces=empty,
        landmark_bary=none.new_zeros(0, 3), contour_rows=empty.reshape(0, 1), contour_landmarks=empty,
        eyeball_weight=None, skeleton=None, correctives=None,
    )  # fmt: skip
    return DenseMesh(bare, tuple(done))
