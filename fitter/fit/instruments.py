"""What every photo is looked at and fitted with, loaded once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..model.face_model import FaceModel
from ..observe.dense import DenseObserver, load_dense
from ..observe.faces import DetectedFace, LandmarkDetector
from ..observe.observation import Observation
from ..observe.observe import observe
from ..observe.recognition import Recognition
from ..observe.segment.contract import PartSegmenter
from ..photo.photo import Photo
from ..render import Renderer
from .config import FitConfig
from .dense_rows import dense_basis


@dataclass(frozen=True)
class Instruments:
    """Attributes:
    model: the face model, on the device. renderer: of that device.
    detector: finds faces. segmenter: tells their parts. dense: sees points and normals; None: nobody looks for them.
    config: how a photo is fitted.
    recognition: says who somebody is, on the device; None: nobody asks (the energy "perceptual" does).
    """

    model: FaceModel
    detector: LandmarkDetector
    segmenter: PartSegmenter
    renderer: Renderer
    config: FitConfig
    dense: DenseObserver | None = None
    recognition: Recognition | None = None

    @property
    def device(self) -> torch.device:
        """Where is fitted."""
        return self.model.device

    def observe(
        self, photo: Photo, face: DetectedFace, focal: float | None = None, fov: float | None = None
    ) -> Observation:
        """What is known of one detected face (B = 1, on the CPU). Args as `facefit.observe.observe.observe`."""
        return observe(photo, face, self.segmenter, self.config.window, focal, fov, self.dense)


def dense_observer(model: FaceModel, config: FitConfig) -> DenseObserver | None:
    """What sees points and normals, where the energy is asked for and the model has such points.

    Raises:
        FaceFitError: the network is missing.
    """
    return load_dense() if "dense" in config.energies and dense_basis(model) is not None else None
