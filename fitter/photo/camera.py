"""The photo's camera: focal length from the user, EXIF or a default."""

from __future__ import annotations

import math

import torch

from ..geometry.camera import DEFAULT_FOCAL_PER_SIDE, Camera
from .photo import Photo

# A face that is small in a wide photo would get a fish-eye from the papers' rule (focal by the side of the face); a
# camera's normal lens sees its film's diagonal, 43 mm on 36 mm of width, so the default is never wider than that.
NORMAL_FOCAL_PER_LONG_SIDE = 1.2


def photo_camera(
    photo: Photo, focal: float | None = None, fov: float | None = None, face_side: float | None = None
) -> Camera:
    """The photo's camera (B = 1), principal point in its middle.

    The focal length comes from, in this order: `focal`; `fov`; EXIF; the default. The default is the papers' camera,
    1015 px for a window of 224 px around the face (Deng et al. 2019), but never a wider view than a normal lens on
    the whole photo.

    Args:
        photo: the photo.
        focal: pixels of the upright photo.
        fov: degrees, horizontal (across the photo's width).
        face_side: side of the face window in photo pixels; None takes the photo's shorter side.
    Raises:
        ValueError: both focal and fov, or a value that no camera has.
    """
    if focal is not None and fov is not None:
        raise ValueError("focal and fov are two names of one thing; give one of them")
    long_side = max(photo.width, photo.height)
    if focal is not None:
        if not (math.isfinite(focal) and focal > 0):
            raise ValueError(f"focal is {focal} px; accepted: a positive number of photo pixels")
    elif fov is not None:
        if not 0.1 <= fov <= 170:
            raise ValueError(f"fov is {fov} degrees; accepted: 0.1 to 170, across the photo's width")
        focal = photo.width / 2 / math.tan(math.radians(fov) / 2)
    elif photo.focal_pixels is not None:
        focal = photo.focal_pixels
    else:
        side = min(photo.width, photo.height) if face_side is None else face_side
        focal = max(DEFAULT_FOCAL_PER_SIDE * side, NORMAL_FOCAL_PER_LONG_SIDE * long_side)
    return Camera(
        torch.tensor([[focal, focal]], dtype=torch.float32),
        torch.tensor([[photo.width / 2, photo.height / 2]], dtype=torch.float32),
    )
