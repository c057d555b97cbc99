"""Fits of one person's frames as a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..files.glb import perspective
from ..model.face_model import FaceModel
from ..output.read_back import FitFile, check_model, load_scene
from ..scene.parameters import Parameters
from .clip import Clip, clip_of_fits

FPS = 25.0  # frames a second, where nobody says


def clip_of_files(fits: Sequence[FitFile], model: FaceModel, fps: float | None = None) -> Clip:
    """A clip whose frames are written fits, in the order given. Who it is, is the mean of what each of them says; the
    camera is the first one's.

    Raises:
        InputError: a fit is damaged, or of another model. ValueError: as `clip_of_fits`.
    """
    check_model(fits, model)
    scenes = [load_scene(fit, model) for fit in fits]
    parameters = Parameters.cat([scene.parameters for scene in scenes])
    common = parameters.identity.mean(0, keepdim=True).expand_as(parameters.identity)
    seconds = [number / (fps or FPS) for number in range(len(fits))]
    camera = perspective(*fits[0].photo_size, float(scenes[0].camera.focal[0, 1]))
    return clip_of_fits(model, replace(parameters, identity=common), seconds, camera)
