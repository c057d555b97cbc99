"""FitResult: one fitted face as one immutable value, with everything needed to write, draw or measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..compute.derived import derived
from ..errors import FitError
from ..files.numbers import finite
from ..geometry.camera import Camera, WindowTransform
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..scene.expressions import with_expression
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .doors import load_above
from .summary import Summary, model_block


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


@dataclass(frozen=True, eq=False, repr=False)
class Sighting:
    """A face as its photo shows it. Its texture is taken from here, whatever expression the face is given afterwards:
    through other lips the photo's would land on the tongue.

    Attributes:
        scene: the face that was fitted.
        window, observation, photo: as in FitResult.
    """

    scene: Scene
    window: WindowTransform
    observation: Observation
    photo: np.ndarray


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
            on the machine); "doubtful" in place of these for a fit that may not lie on the face (facefit.fit.verdict);
            "edited" after `with_expression`.
        sighting: what was fitted, for the texture; None: the parameters that are given. It stays in a copy with other
            parameters (`dataclasses.replace`), and goes along with another photo or model.
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
    sighting: Sighting = cast(Sighting, None)  # never None once __post_init__ has run

    def __post_init__(self) -> None:
        if self.photo.dtype != np.uint8 or self.photo.ndim != 3 or self.photo.shape[2] != 3:
            raise ValueError(f"photo is {self.photo.dtype} {self.photo.shape}; expected uint8 (H, W, 3)")
        for name, value in self.parameters.tensors().items():
            if value.shape[0] != 1:
                raise ValueError(f"parameters.{name} holds {value.shape[0]} faces; a FitResult is one face")
        known = self.sighting
        scene = Scene(self.model, self.parameters, self.camera, exact=True)
        if known is not None and known.scene.model is self.model:
            if all(getattr(known, name) is getattr(self, name) for name in ("window", "observation", "photo")) and (
                known.scene.camera is self.camera
            ):
                return
            scene = replace(scene, parameters=known.scene.parameters)
        object.__setattr__(self, "sighting", Sighting(scene, self.window, self.observation, self.photo))

    def __repr__(self) -> str:
        return f"FitResult({self.photo_path or 'a photo'}, {self.summary}, {self.model.name} {self.model.version})"

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
        known = self.sighting.scene
        if known.parameters is self.parameters:
            return known
        return derived(self, "scene", lambda own: Scene(own.model, own.parameters, own.camera, exact=True))

    @property
    def summary(self) -> Summary:
        """What the fit comes to in a few numbers."""
        return Summary(
            status=self.status,
            energies={name: finite(value) for name, value in self.energies.items()},
            parts=dict(self.part_iou),
            landmark_error=finite(self.landmark_error),
            model=model_block(self.model),
        )

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

    # ---------------------------------------------------------------- what is made of it

    def with_expression(
        self, values: Mapping[str, float] | None = None, /, *, keep: bool = True, **units: float
    ) -> FitResult:
        """The same person with another expression, under the same texture: `result.with_expression(jawOpen=0.5)`.

        Args:
            values, units: name of a unit of the model -> activation in [0, 1], or standard deviations.
            keep: leave the other units as they were fitted; False: at rest.
        Raises:
            ValueError: the model has no such unit, or a value is out of range.
        """
        parameters = with_expression(self.model, self.parameters, {**(values or {}), **units}, keep)
        return replace(
            self,
            parameters=parameters,
            status="edited",
            energies={},
            part_iou={},
            landmark_error=float("nan"),
            trace=(),
        )

    def render(self, view: str | float = "front", size: int = 512, texture: str = "photo") -> np.ndarray:
        """(size, size, 3) uint8 RGB: the textured head on grey.

        Args:
            view: one of facefit.output.face.VIEWS, or degrees that the head is turned to its left.
            texture: "photo" or "albedo".
        Raises:
            ValueError: no such view or texture, or a size outside 16 to 4096.
        """
        return load_above("textured")(self, texture=texture).render(view, size)

    def save(self, output: Path | str, **style: Any) -> list[Path]:
        """Write it: `result.save("face.glb", quantize=True)`. See `facefit.write_result`."""
        return load_above("write_result")(self, Path(output), **style)
