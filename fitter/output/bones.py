"""Bones of a head, by the names that humanoid rigs use: what turns the eyes without shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model.face_model import FaceModel

HEAD = "Head"
EYES = ("RightEye", "LeftEye")  # 1 and 2 of FaceModel.eyeball


@dataclass(frozen=True)
class Bones:
    """A skin that bends nowhere: each vertex follows one bone.

    Attributes:
        names: (J,), the head first, the others its children.
        position: (J, 3) mm: where each turns about.
        vertex: (V,) uint8: the bone of each vertex.
    """

    names: tuple[str, ...]
    position: np.ndarray
    vertex: np.ndarray


def head_bones(model: FaceModel, base: np.ndarray) -> Bones:
    """The head, which turns about the origin of its frame as the pose does, and each eyeball about its centre.

    Args:
        base: (V, 3) mm, the head at rest.
    """
    names, position = [HEAD], [np.zeros(3)]
    ball = model.eyeball.cpu().numpy()
    weight = np.ones(len(ball)) if model.eyeball_weight is None else model.eyeball_weight.cpu().double().numpy()
    vertex = np.zeros(len(ball), np.uint8)
    for eye, name in enumerate(EYES, 1):
        if (ball == eye).any():
            vertex[ball == eye] = len(names)
            names.append(name)
            position.append(np.average(base[ball == eye], axis=0, weights=weight[ball == eye]))
    return Bones(tuple(names), np.stack(position), vertex)
