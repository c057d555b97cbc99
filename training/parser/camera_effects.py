"""What a camera and a file format do to a picture: blur, exposure, noise, JPEG. Images are float32 RGB in [0, 1]."""

from __future__ import annotations

import cv2
import numpy as np


def degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) -> (S, S, 3): from a clean portrait to a poor phone picture; nothing moves, labels stay true."""
    size = image.shape[0]
    if rng.random() < 0.25:  # taken from afar: few pixels, enlarged
        small = int(size / rng.uniform(1.5, 4.5))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (size, size),
                           interpolation=int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC])))  # fmt: skip
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.2) * size / 448)
    if rng.random() < 0.08:  # shaken, both ways alike so that edges stay where they are
        length = int(rng.integers(3, 9)) | 1
        kernel = np.zeros((length, length), np.float32)
        cv2.line(kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0)
        kernel = kernel + kernel[::-1, ::-1]
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
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
            noise = cv2.GaussianBlur(noise, (0, 0), 0.7) * 2
        image = image + sigma * noise
    image = np.clip(image, 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        _, code = cv2.imencode(".jpg", (image[..., ::-1] * 255).astype(np.uint8), quality)
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    return image
