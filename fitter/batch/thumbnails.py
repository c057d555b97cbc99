"""The small pictures of the contact sheet: photo, textured head and clay side by side, as JPEG."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..files.picture_bytes import jpg_bytes
from ..output.overlay import overlay
from ..photo.photo import Photo
from ..scene.scene import Scene

SIDE = 192  # pixels of one panel
SHOWN = ("photo", "textured", "clay")
_QUALITY = 82


def thumbnail_jpg(scene: Scene, photo: np.ndarray, texture: np.ndarray | None = None) -> bytes:
    """JPEG of (SIDE, 3 SIDE) pixels: the SHOWN panels of `facefit.output.overlay`, whose arguments these are."""
    return jpg_bytes(overlay(scene, photo, SIDE, texture, SHOWN), _QUALITY)


def photo_jpg(photo: Photo) -> bytes:
    """The whole photo, at most SIDE high and 3 SIDE wide: what there is to show where no face was fitted."""
    picture = Image.fromarray(photo.pixels)
    picture.thumbnail((3 * SIDE, SIDE))
    return jpg_bytes(np.asarray(picture), _QUALITY)
