"""The default head while it is built: mean, components and expressions over its control vertices, step after step.

A step is a function from a Head to a Head. What changes the identity (another mean, other components) comes before the
steps of anatomy, which hold for whatever mean and components they are given: eyeballs, lids, teeth.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .makehuman import BaseMesh


@dataclass(frozen=True)
class Head:
    """C control vertices, I components, E expressions, K correctives.

    Attributes:
        base: the control mesh.
        mean: (C, 3) mm; identity: (I, C, 3) mm per standard deviation.
        expression: (E, C, 3) mm at activation 1, names: their ARKit names.
        eye_centre: (2, 3) mm, of the right and the left eyeball, once they are in place.
        corrective: (K, C, 3) mm, per activation of expression `corrective_expression` (K,) and standard deviation along
            `corrective_identity` (K, I).
    """

    base: BaseMesh
    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    names: tuple[str, ...]
    eye_centre: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    corrective: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))
    corrective_expression: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    corrective_identity: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def piece(self, *names: str) -> np.ndarray:
        """Vertices of the pieces of these names (facefit.importers.default_head.makehuman.BaseMesh.group), rising."""
        return np.unique(self.base.quads[np.isin(self.base.group, names)])

    def only(self, *names: str) -> np.ndarray:
        """Those of them that no other piece shares."""
        return np.setdiff1d(self.piece(*names), self.piece(*np.setdiff1d(self.base.group, names)))

    def unit(self, name: str) -> np.ndarray:
        """(C, 3) mm of an expression at 1."""
        return self.expression[self.names.index(name)]


def reach_of_face(verts: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """(V,) how far vertices (V, 3) lie from the middle of the face; it ends at about 1. landmarks: (478, 3) mm."""
    return np.linalg.norm((verts - landmarks[[1, 168, 0]].mean(0)) / [75, 95, 80], axis=1)
