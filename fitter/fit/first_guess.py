"""The parameters that landmarks and dense points and normals give, before any pixel is compared."""

from __future__ import annotations

from dataclasses import replace

from ..errors import FitError
from ..geometry.camera import window_camera
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.parameters import Parameters
from .config import FitConfig
from .dense_rows import dense_rows
from .landmark_stage import solve_landmarks
from .warm_start import WarmStart


def first_guess(
    observation: Observation, model: FaceModel, config: FitConfig, warm: WarmStart | None = None
) -> Parameters:
    """Parameters from landmarks and what was seen beside them (rigid and landmark stage). Without the landmark energy
    only the pose is taken from them and the face is the mean one: then segmentation and colours must do the rest.

    Raises:
        FitError: the landmarks are not those of a face.
    """
    if warm is not None and not warm.landmarks:
        return warm.parameters.to(model.device)
    camera = window_camera(observation.camera, observation.window)
    if "landmark" not in config.energies:
        config = replace(config, landmark_iterations=0)
    seen = observation.landmarks, observation.landmark_confidence, camera
    dense = dense_rows(model, observation, camera, config)
    expected = observation.identity if observation.identity.shape[1] else None
    if warm is None:
        return solve_landmarks(model, *seen, config, dense=dense, expected=expected)
    known = warm.parameters.to(model.device)
    found = solve_landmarks(model, *seen, config, dense=dense, start=known, fixed=warm.fixed, expected=expected)
    return replace(found, albedo=known.albedo, sh=known.sh, gaze=known.gaze)


def first_guesses(
    observation: Observation, model: FaceModel, config: FitConfig, warm: WarmStart | None = None
) -> tuple[Parameters | None, dict[int, FitError]]:
    """`first_guess` of each face on its own: the parameters of those that have one, and the errors of the others."""
    if model.device.type != "cpu":
        try:
            return first_guess(observation, model, config, warm), {}
        except FitError:
            pass  # of which face, the next lines find out
    found, failed = [], {}
    # on the CPU always one by one: products of several are rounded differently, and nothing is gained by them
    for face in range(observation.batch):
        try:
            found.append(first_guess(observation[face], model, config, None if warm is None else warm[face]))
        except FitError as error:
            failed[face] = error
    return (Parameters.cat(found) if found else None), failed
