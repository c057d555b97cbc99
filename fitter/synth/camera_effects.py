"""What a camera and a file format do to a picture: blur, exposure, noise, JPEG. Images are float32 RGB in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..geometry.polygon import polygon_pixels
from .brush import blurred, jpeg, resized


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) -> (S, S, 3): from a clean portrait to a poor phone picture; nothing moves, labels stay true."""
    size = image.shape[0]
    if rng.random() < 0.25:  # taken from afar: few pixels, enlarged
        small = int(size / rng.uniform(1.5, 4.5))
        image = resized(resized(image, small), size, str(rng.choice(["bilinear", "bicubic"])))
    if rng.random() < 0.3:
        image = blurred(image, rng.uniform(0.4, 2.2) * size / 448)
    if rng.random() < 0.08:  # shaken, both ways alike so that edges stay where they are
        length = int(rng.integers(3, 9)) | 1
        way = np.array([(0, rng.integers(length)), (length - 1, rng.integers(length))]) + 0.5
        kernel = polygon_pixels((length, length), way).astype(np.float32)
        kernel = kernel + kernel[::-1, ::-1]
        image = ndimage.correlate(image, kernel[..., None] / kernel.sum(), mode="mirror")
    image = np.clip(image, 0, None) ** rng.uniform(0.75, 1.35) * rng.uniform(0.75, 1.25)
    image = image * (1 + rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.25:
        grey = image.mean(2, keepdims=True)
        image = grey + (image - grey) * rng.uniform(0, 1.5)
    if rng.random() < 0.2:  # flat contrast
        image = rng.uniform(0, 0.25) + image * rng.uniform(0.5, 0.8)
    if rng.random() < 0.6:
        sigma = rng.uniform(0.003, 0.05)
        noise = rng.standard_normal(image.shape, np.float32)
        if rng.random() < 0.5:
            noise = blurred(noise, 0.7) * 2
        image = image + sigma * noise
    image = np.clip(image, 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        image = jpeg(image, int(rng.integers(25, 95)))
    return image
