"""A portrait in its window, with its landmarks."""

import numpy as np
import pytest
import torch
from helpers.labels import SIZE

from facefit.observe.detector import load_detector
from facefit.photo.window import crop_window, sample_window


@pytest.fixture(scope="session")
def window() -> tuple[np.ndarray, np.ndarray]:
    """The window (S, S, 3) of a portrait and its landmarks (478, 2) in it."""
    photo = pytest.importorskip("skimage.data").astronaut()
    landmarks = load_detector().detect(photo)[0].landmarks
    transform = crop_window(landmarks, SIZE)
    image = (sample_window(photo, transform)[0] / 255).astype(np.float32)
    return image, transform.to_window(torch.as_tensor(landmarks)[None])[0].numpy()


@pytest.fixture(scope="session")
def landmarks(window) -> np.ndarray:
    return window[1]
