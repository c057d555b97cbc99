"""From a photo to an Observation: landmarks, parts, outline, dense points and normals, and how far each counts."""

from __future__ import annotations

import numpy as np
import torch

from ..photo.camera import photo_camera
from ..photo.photo import Photo
from ..photo.window import crop_window, window_image
from .dense import DenseObserver
from .faces import DetectedFace
from .observation import Observation
from .outline import face_outline
from .segment.contract import PartSegmenter
from .segment.masks import part_confidence, post_process


def observe(
    photo: Photo, face: DetectedFace, segmenter: PartSegmenter, size: int, focal: float | None = None,
    fov: float | None = None, dense: DenseObserver | None = None,
) -> Observation:  # fmt: skip
    """What is known of one detected face (B = 1, on the CPU).

    Args:
        face: with landmarks in pixels of the photo.
        segmenter: says what the pixels of the window show.
        size: side of the window in its own pixels.
        focal: pixels of the photo; fov: degrees; see photo.camera.photo_camera for what holds without them.
        dense: sees points and normals; None: they are not observed.
    """
    window = crop_window(face.landmarks, size)
    image, inside = window_image(photo, window)
    landmarks = window.to_window(torch.from_numpy(face.landmarks)[None])
    segmentation = segmenter.segment(image, landmarks[0].numpy(), window)
    masks, valid, brow_line = post_process(segmentation, landmarks[0].numpy())
    side = float(size / window.scale[0])
    outside = (landmarks < 0).any(-1) | (landmarks > size).any(-1)
    photo_size = torch.tensor([photo.width, photo.height], dtype=torch.float32)
    in_photo = torch.from_numpy(face.landmarks)[None]
    outside |= (in_photo < 0).any(-1) | (in_photo > photo_size).any(-1)
    valid = (valid * (inside > 0.99)).astype(np.float32)
    seen = {}
    if dense is not None:
        depth = face.depth[:, None] * float(window.scale[0])
        looked = dense.look(image, np.concatenate([landmarks[0].numpy(), depth], 1), valid)
        names = ("dense_points", "dense_normals")
        seen = {name: torch.from_numpy(value)[None] for name, value in zip(names, looked, strict=True)}
    return Observation(
        image=torch.from_numpy(image)[None],
        landmarks=landmarks,
        landmark_confidence=(~outside).float(),
        part_masks=torch.from_numpy(masks)[None],
        valid=torch.from_numpy(valid)[None],
        brow_line=torch.from_numpy(brow_line)[None],
        camera=photo_camera(photo, focal, fov, side),
        window=window,
        outline=torch.from_numpy(face_outline(segmentation.labels, inside > 0.99))[None],
        part_confidence=torch.from_numpy(part_confidence(segmentation, masks))[None],
        **seen,
    )
