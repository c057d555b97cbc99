"""A face parser in an ONNX file: BiSeNet, DML-CSR, FaRL, RTNet and others, trained on the public label sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ...anatomy.label_maps import LABEL_MAPS, our_labels
from ...errors import FaceFitError
from ...geometry.camera import WindowTransform
from ..onnx_session import load_session
from .contract import Segmentation, check_window
from .polygons import polygon_labels
from .regions import separate_ears_and_neck, separate_sides

# What nearly all of these networks were trained with (ImageNet).
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

# The side for a network that takes any: that of CelebAMask-HQ's labels.
ANY_SIDE = 512


class OnnxSegmenter:
    """A parser that takes (1, 3, H, W) normalised RGB and gives (1, C, h, w) scores of C classes.

    The label sets disagree on whose left is left (CelebAMask-HQ's l_eye is the one on the left of the picture, others
    mean the person's), and converters flip it; so sides come from the landmarks, never from the class.
    """

    def __init__(self, path: str | Path, label_map: str = "auto") -> None:
        """
        Args:
            path: the ONNX file.
            label_map: "celebamask19", "bisenet19", "ibug11", "ibug14", or "auto": by the number of classes, and of the
                two orders of 19 classes the one that agrees better with the landmarks.
        Raises:
            ValueError: an unknown label map.
            FaceFitError: onnxruntime or the file is missing, or the network has another shape or number of classes.
        """
        if label_map != "auto" and label_map not in LABEL_MAPS:
            raise ValueError(f"label map {label_map!r}; accepted: auto, {', '.join(LABEL_MAPS)}")
        self.path, self.label_map = Path(path), label_map
        # A worker of a batch has one thread, not all cores.
        self._session = load_session(path, torch.get_num_threads(), "a face parser in ONNX format is needed")
        given = self._session.get_inputs()
        shape = given[0].shape if len(given) == 1 else []
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
            shapes = ", ".join(f"{value.name} {value.shape}" for value in given)
            raise FaceFitError(f"{path}: takes {shapes}; accepted: one input (1, 3, height, width)")
        self._input = given[0]
        self._dtype = np.float16 if "float16" in given[0].type else np.float32

    def scores(self, image: np.ndarray) -> np.ndarray:
        """(S, S, 3) RGB in [0, 1] -> (C, S, S) float32 probabilities. Raises FaceFitError for another output."""
        size = image.shape[0]
        height, width = (side if isinstance(side, int) else ANY_SIDE for side in self._input.shape[2:])
        given = _resized(image.astype(np.float32).transpose(2, 0, 1), (height, width))
        given = ((given - MEAN[:, None, None]) / DEVIATION[:, None, None])[None].astype(self._dtype)
        results = self._session.run(None, {self._input.name: given})
        accepted = {len(names) for names in LABEL_MAPS.values()}
        fitting = [result for result in results if result.ndim == 4 and result.shape[1] in accepted]
        if not fitting:
            shapes = ", ".join(str(result.shape) for result in results)
            raise FaceFitError(f"{self.path}: gives {shapes}; accepted: (1, classes, h, w) with 11, 14 or 19 classes")
        score = fitting[0][0].astype(np.float32)
        if score.min() < 0 or not np.allclose(score.sum(0), 1, atol=1e-2):  # not yet probabilities
            score = np.exp(score - score.max(0))
            score /= score.sum(0)
        return _resized(score, (size, size))

    def segment(self, image: np.ndarray, landmarks: np.ndarray, window: WindowTransform | None = None) -> Segmentation:
        """See PartSegmenter; `window` is not used. Raises FaceFitError where the classes do not fit the label map."""
        check_window(image, landmarks)
        score = self.scores(image)
        seen = score.argmax(0)
        name = self._map_for(seen, len(score), landmarks)
        labels = our_labels(LABEL_MAPS[name])[seen]
        labels = separate_sides(labels, landmarks)
        if name == "ibug11":  # ears and neck are its skin or its background, by the network's taste
            labels = separate_ears_and_neck(labels, landmarks)
        return Segmentation(labels, score.max(0))

    def _map_for(self, seen: np.ndarray, classes: int, landmarks: np.ndarray) -> str:
        if self.label_map != "auto":
            if len(LABEL_MAPS[self.label_map]) != classes:
                raise FaceFitError(
                    f"{self.path}: {classes} classes; '{self.label_map}' has {len(LABEL_MAPS[self.label_map])}"
                )
            return self.label_map
        fitting = [name for name, parts in LABEL_MAPS.items() if len(parts) == classes]
        expected = separate_sides(polygon_labels(seen.shape, landmarks), landmarks)

        def agreement(name: str) -> float:
            labels = separate_sides(our_labels(LABEL_MAPS[name])[seen], landmarks)
            return float((labels == expected)[expected > 0].mean())

        return max(fitting, key=agreement)


def _resized(planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(C, H, W) float32 -> (C, *shape): bilinear, and where it shrinks the mean of what a pixel covers."""
    given = torch.from_numpy(np.ascontiguousarray(planes))[None]
    seen = torch.nn.functional.interpolate(given, shape, mode="bilinear", align_corners=False, antialias=True)
    return seen[0].numpy()
