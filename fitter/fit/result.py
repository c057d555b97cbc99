"""FitResult: one fitted face as one immutable value, with everything needed to write, draw or measure it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..compute.derived import derived
from ..errors import FitError
from ..geometry.camera import Camera, WindowTransform
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.parameters import Parameters
from ..scene.scene import Scene


@dataclass(frozen=True)
class FitFailure:
    """A face of a batch that could not be fitted.

    Attributes:
        error: what went wrong.
        seconds: wall time of the stages that it went through.
    """

    error: FitError
    seconds: dict[str, float] = field(default_factory=dict)
    status: str = "failed"


@dataclass(frozen=True)
class FitResult:
    """The fit of one face (all tensors with B = 1, on the CPU).

    Attributes:
        model: the face model that was fitted.
        parameters: its parameters.
        camera: the camera of the original photo, in photo pixels.
        window: photo pixels -> the window that was fitted.
        observation: what the fit was held against.
        photo: (H, W, 3) uint8 RGB, upright (EXIF orientation applied): the picture that `camera` refers to.
        photo_path: where it was read from, empty for a picture made in memory.
        energies: the final value of each energy term, weighted as in the sum.
        part_iou: rendered against observed parts; None for a part that neither shows.
        landmark_error: mean distance of projected and detected landmarks, as a fraction of the distance between the
            outer eye corners.
        trace: one record per recorded iteration.
        seconds: wall time of each stage; of a face in a batch, its share of it.
        config: the settings, as JSON types.
        versions: facefit and the libraries that the result depends on.
        status: "converged", "budget" (iterations used up) or "seconds" (time used up: how far the fit came then depends
            on the machine); "doubtful" in place of these for a fit that may not lie on the face (facefit.fit.verdict).
    """

    model: FaceModel
    parameters: Parameters
    camera: Camera
    window: WindowTransform
    observation: Observation
    photo: np.ndarray
    photo_path: str = ""
    energies: dict[str, float] = field(default_factory=dict)
    part_iou: dict[str, float | None] = field(default_factory=dict)
    landmark_error: float = float("nan")
    trace: tuple[dict, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    status: str = "converged"

    def __post_init__(self) -> None:
        if self.photo.dtype != np.uint8 or self.photo.ndim != 3 or self.photo.shape[2] != 3:
            raise ValueError(f"photo is {self.photo.dtype} {self.photo.shape}; expected uint8 (H, W, 3)")
        for name, value in self.parameters.tensors().items():
            if value.shape[0] != 1:
                raise ValueError(f"parameters.{name} holds {value.shape[0]} faces; a FitResult is one face")

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the photo in pixels."""
        return self.photo.shape[1], self.photo.shape[0]

    @property
    def verts(self) -> np.ndarray:
        """(V, 3) float64 mm in model space: upright, facing +z."""
        return self.verts_in("model")

    @property
    def landmarks7(self) -> np.ndarray:
        """(7, 3) float64 mm in model space, in the order of LANDMARK7_NAMES."""
        return self.landmarks7_in("model")

    @property
    def scene(self) -> Scene:
        """What is known of the face without what it was seen in: model, parameters and camera."""
        return derived(self, "scene", lambda own: Scene(own.model, own.parameters, own.camera, exact=True))

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """R (3, 3) and t (3,) float64 with X_camera = R X_model + t, mm."""
        return self.scene.pose()

    def verts_in(self, space: str) -> np.ndarray:
        """(V, 3) float64 mm in "model" or "camera" space.

        Raises:
            ValueError: another space.
        """
        return self.scene.verts_in(space)

    def landmarks7_in(self, space: str) -> np.ndarray:
        """(7, 3) float64 mm: corners of the eyes, nose bottom, corners of the mouth, on the surface of the mesh."""
        return self.scene.landmarks7_in(space)
