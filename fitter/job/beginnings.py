"""Earlier fits as a beginning: `--init` and `--like`."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..fit.warm_start import WarmStart
from ..model.face_model import FaceModel
from ..output.read_back import FitFile, check_model, load_scene, one_fit
from ..photo.photo import Photo
from ..scene.scene import Scene


def refined(path: Path, model: FaceModel, photo: Photo | None = None) -> tuple[WarmStart, float]:
    """Go on from a fit of the same photo.

    Args:
        path: its JSON, or the mesh beside it.
        photo: the photo that is to be fitted, whose size must be that of the fit's.
    Returns:
        The beginning, and the focal length in pixels that the fit's pose belongs to.
    Raises:
        InputError: no fit, one of several, one of another photo or model.
    """
    fit, scene = _read(path, model)
    if photo is not None and fit.photo_size != (photo.width, photo.height):
        wide, high = fit.photo_size
        raise InputError(
            f"{path}: fitted to a photo of {wide} x {high} pixels; {photo.path} has {photo.width} x {photo.height}"
        )
    return WarmStart(scene.parameters), float(scene.camera.focal[0, 0])


def same_person(path: Path, model: FaceModel) -> WarmStart:
    """Another photo of a person who was fitted before: identity and albedo are known and stay.

    Albedo too: what differs between two photos of one skin is light and white balance, and both are in the light's
    coefficients.

    Args, Raises:
        as `refined`.
    """
    _, scene = _read(path, model)
    return WarmStart(scene.parameters, fixed=("identity", "albedo"), landmarks=True, light=True)


def _read(path: Path, model: FaceModel) -> tuple[FitFile, Scene]:
    fit = one_fit(path)
    on_cpu = model.to("cpu")
    check_model([fit], on_cpu)
    return fit, load_scene(fit, on_cpu)
