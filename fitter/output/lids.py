"""Lids whose eyes are open: skin that the photo shows folded to a line, and that an animation unfolds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..compute.smoothstep import smoothstep
from ..geometry.triangles import triangle_areas
from ..scene.part_picture import mesh_faces
from ..scene.scene import Scene

_BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")

_FOLDED, _FLAT = 0.35, 0.75  # of a triangle's area with closed eyes: less, and the photo says nothing of it; more, all


@dataclass(frozen=True)
class ClosedLids:
    """A face with its eyes shut beside the same face as it is.

    Attributes:
        scene: with the eyes shut.
        folded: (F,) in [0, 1]: how little of a triangle there is to see as the eyes are.
    """

    scene: Scene
    folded: np.ndarray

    def folded_vertices(self) -> np.ndarray:
        """(V,) of the vertices: that of their most folded triangle."""
        faces = mesh_faces(self.scene.model)
        folded = np.zeros(len(self.scene.model.verts))
        np.maximum.at(folded, faces.ravel(), np.repeat(self.folded, 3))
        return folded


def closed_lids(scene: Scene) -> ClosedLids | None:
    """The face with its eyes shut; None for a model without ARKit's blinks."""
    model = scene.model
    if not model.activation or not set(_BLINKS) <= set(model.expression_names):
        return None
    expression = scene.parameters.expression.clone()
    expression[:, [model.expression_names.index(name) for name in _BLINKS]] = 1.0
    closed = replace(scene, parameters=replace(scene.parameters, expression=expression))
    before, after = scene.verts_in("camera"), closed.verts_in("camera")
    folded = np.zeros(len(model.faces))
    faces = mesh_faces(model)
    lids = np.flatnonzero((np.linalg.norm(after - before, axis=1) > 0.05)[faces].any(1))
    share = triangle_areas(before[faces[lids]]) / np.maximum(triangle_areas(after[faces[lids]]), 1e-9)
    folded[lids] = 1 - smoothstep((share - _FOLDED) / (_FLAT - _FOLDED))
    return ClosedLids(closed, folded)
