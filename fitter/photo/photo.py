"""Read a photo: orientation, alpha, grey, 16 bit, CMYK, huge. Without torch, so that a bad one is refused at once.

A photo is kept as 8-bit sRGB: a third of the memory of float, and no detector, segmenter or camera here sees finer.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms

from ..errors import ImageError
from ..files.read_picture import MAX_PIXELS, decode, open_picture
from .focal import exif_focal

logger = logging.getLogger(__name__)

MIN_SIDE = 32  # pixels; below, no detector finds a face and a texture would be four colours

_STRIP = 1 << 20  # pixels that are converted at a time: a copy of the whole photo in every colour space takes gigabytes


@dataclass(frozen=True)
class Photo:
    """One photo, upright.

    Attributes:
        pixels: (H, W, 3) uint8 sRGB, EXIF orientation applied, transparency laid on white.
        path: the file it came from.
        focal_pixels: the focal length in pixels of `pixels` as EXIF tells it, or None.
        stored_size: (width, height) in the file, before EXIF orientation.
    """

    pixels: np.ndarray
    path: Path
    focal_pixels: float | None = None
    stored_size: tuple[int, int] = (0, 0)

    @classmethod
    def from_array(cls, array: np.ndarray, path: str | os.PathLike = "array") -> Photo:
        """(H, W, 3) uint8, or float in [0, 1], as a Photo. Raises ImageError for another shape, type or size."""
        array = np.asarray(array)
        if array.ndim != 3 or array.shape[2] != 3:
            raise ImageError(f"{path}: array of shape {array.shape}; expected (height, width, 3)")
        if np.issubdtype(array.dtype, np.floating):
            if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
                raise ImageError(f"{path}: float pixels outside [0, 1]; accepted: float in [0, 1] or uint8")
            array = np.rint(array * 255).astype(np.uint8)
        elif array.dtype != np.uint8:
            raise ImageError(f"{path}: pixels of type {array.dtype}; accepted: uint8 or float in [0, 1]")
        height, width = array.shape[:2]
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{path}: too large, {width} x {height} pixels; the limit is {MAX_PIXELS / 1e6:g} megapixels"
            )
        _check_least(path, width, height)
        return cls(np.ascontiguousarray(array), Path(path), None, (width, height))

    def __repr__(self) -> str:
        return f"Photo({self.path}, {self.width} x {self.height})"

    @property
    def width(self) -> int:
        """In pixels, upright."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """In pixels, upright."""
        return self.pixels.shape[0]


def read_photo(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo file. Of an animation the first frame; colour profiles are converted to sRGB; alpha lies on white.

    Raises:
        ImageError: no such file, a directory, unreadable, empty, not an image of an accepted format, damaged or cut
            off, below 32 pixels a side, or above `max_pixels` (told by the header, before anything is decoded).
    """
    path = Path(path)
    with open_picture(path, what="photo", max_pixels=max_pixels) as image:
        stored = image.size
        _check_least(path, *stored)
        decode(image)
        focal = exif_focal(image)
        pixels = _upright_rgb(image)
    logger.debug("%s: %d x %d, focal by EXIF %s px", path, pixels.shape[1], pixels.shape[0], focal)
    return Photo(pixels, path, focal, stored)


def _check_least(path: str | os.PathLike, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{path}: too small, {width} x {height} pixels; at least {MIN_SIDE} a side are needed")


def _upright_rgb(image: Image.Image) -> np.ndarray:
    """Any mode Pillow decodes -> (H, W, 3) uint8 sRGB, upright; in strips, to save memory."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    width, height = image.size
    pixels = np.empty((width, height, 3) if orientation in (5, 6, 7, 8) else (height, width, 3), np.uint8)
    stored = _as_stored(pixels, orientation)
    grey = image.mode in ("I", "F") or image.mode.startswith("I;")
    full = _full_scale(image) if grey else 1.0
    transform = None if grey else _to_srgb(image)
    for top, strip in _strips(image):
        if grey:
            values = np.asarray(strip).astype(np.float32)
            rgb = np.rint(np.clip(values / full, 0, 1) * 255).astype(np.uint8)[..., None]
        else:
            strip = _on_white(strip)
            if transform is not None:
                strip = ImageCms.applyTransform(strip, transform) or strip
            rgb = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
        stored[top : top + strip.height] = rgb
    return pixels


def _as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The upright pixels, seen as the file has them by its EXIF orientation: writing to it turns."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1) if orientation in (3, 4, 6, 7) else slice(None)
    columns = slice(None, None, -1) if orientation in (2, 3, 7, 8) else slice(None)
    return pixels[rows, columns]


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture in strips of full width, each with its first row."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _on_white(image: Image.Image) -> Image.Image:
    """RGB, grey or CMYK without transparency."""
    if _transparent(image):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")


def _transparent(image: Image.Image) -> bool:
    return "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")


def _full_scale(image: Image.Image) -> float:
    """Of grey of 16 or 32 bits or float, told by the peak; Pillow's own conversion to 8 bits would clip at 255."""
    peak = 0.0
    for _, strip in _strips(image):
        values = np.asarray(strip).astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("pixels that are not finite")
        peak = max(peak, float(values.max(initial=0)))
    return 1.0 if peak <= 1 else 255.0 if peak <= 255 else 65535.0


def _to_srgb(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """From the embedded colour profile to sRGB; None where there is none to go by, or it cannot be used."""
    profile = image.info.get("icc_profile")
    if not profile:
        return None
    mode = "RGB" if _transparent(image) or image.mode not in ("RGB", "L", "CMYK") else image.mode
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.info("the photo's colour profile is left aside: %s", error)
        return None
