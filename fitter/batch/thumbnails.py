"""The small pictures of the contact sheet: photo, mesh over photo and geometry side by side, as JPEG."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..files.picture_bytes import jpg_bytes
from ..output.overlay import PANELS, overlay
from ..photo.photo import Photo
from ..scene.scene import Scene

SIDE = 192  # pixels of one panel
SHOWN = ("photo", "mesh over photo", "geometry")
_QUALITY = 82


def thumbnail_jpg(scene: Scene, photo: np.ndarray) -> bytes:
    """JPEG of (SIDE, 3 SIDE) pixels: the SHOWN panels of the overlay over a photo (H, W, 3) uint8."""
    panels = overlay(scene, photo, SIDE)
    shown = [panels[:, PANELS.index(name) * SIDE :][:, :SIDE] for name in SHOWN]
    return jpg_bytes(np.concatenate(shown, 1), _QUALITY)


def photo_jpg(photo: Photo) -> bytes:
    """The whole photo, at most SIDE high and 3 SIDE wide: what there is to show where no face was fitted."""
    picture = Image.fromarray(photo.pixels)
    picture.thumbnail((3 * SIDE, SIDE))
    return jpg_bytes(np.asarray(picture), _QUALITY)
