"""Pictures as the bytes of a file, by imageio's Pillow plugin."""

from __future__ import annotations

import numpy as np


def png_bytes(image: np.ndarray) -> bytes:
    """(H, W, 3) uint8, (H, W) uint8 or uint16 -> PNG. Level 3 takes a third of the time for 4 % more bytes."""
    from imageio import v3

    return v3.imwrite("<bytes>", image, extension=".png", plugin="pillow", compress_level=3)


def jpg_bytes(image: np.ndarray, quality: int) -> bytes:
    """(H, W, 3) uint8 -> JPEG of this quality, 1 to 95."""
    from imageio import v3

    return v3.imwrite("<bytes>", image, extension=".jpg", plugin="pillow", quality=quality)


def media_type(picture: bytes) -> str:
    """What the bytes of a picture are by their first ones: "image/png", or else "image/jpeg"."""
    return "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
