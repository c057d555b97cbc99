"""A sequence as a page that plays it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..geometry.camera import Camera
from ..model.face_model import FaceModel
from ..output.morph_targets import Morphs
from ..output.viewer import Page
from ..output.viewer_face import face_measures, landmarks_of, model_credit, parts_map, shape_span
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .targets import sequence_targets


def sequence_page(glb: bytes, identity: Tensor, model: FaceModel, name: str, title: str, frames: int) -> bytes:
    """The page of a sequence.

    Args:
        glb: animated. identity: (1, I) of the person, under `model`. name: of the page, without a suffix.
        title: heading. frames: how many of them were fitted.
    """
    names, neutral, moves = sequence_targets(model, identity)
    morphs = Morphs(neutral, moves, tuple(names), np.zeros(len(names)))
    rest = Parameters(**Parameters.zeros(model.sizes).tensors() | {"identity": identity})
    person = Scene(model, rest, Camera(torch.ones(1, 2), torch.zeros(1, 2)))
    return Page(
        title=title, glb=glb, file=f"{name}.glb", status=f"{frames} frames", shapes=model.expression_names,
        span=shape_span(model), maps={"parts": parts_map(model)}, landmarks=landmarks_of(model, morphs),
        measures=face_measures(person), credit=model_credit(model),
    ).html()  # fmt: skip
