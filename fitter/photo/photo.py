"""Read a photo (orientation, alpha, grey, 16 bit, CMYK, huge) and look at it through a square window.

A photo is kept as 8-bit sRGB: a third of the memory of float, and no detector, segmenter or camera here sees finer.
The window's pixels are floats, so nothing is rounded twice.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ..errors import ImageError
from ..geometry.camera import WindowTransform
from .focal import exif_focal
from .window import sample_window

logger = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000  # 100 megapixels decode to 0.4 GB; the check reads the header alone

MIN_SIDE = 32  # pixels; below, no detector finds a face and a texture would be four colours

# Formats whose decoders are part of Pillow. Others it knows are no photos, or start programs (EPS runs Ghostscript).
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")

ACCEPTED = "JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000 or AVIF"

# What Pillow's decoders raise on damaged data.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, zlib.error)


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
        _check_size(Path(path), width, height, MAX_PIXELS)
        return cls(np.ascontiguousarray(array), Path(path), None, (width, height))

    @property
    def width(self) -> int:
        """In pixels, upright."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """In pixels, upright."""
        return self.pixels.shape[0]

    def window_image(self, window: WindowTransform) -> tuple[np.ndarray, np.ndarray]:
        """The photo through one window (B = 1): (S, S, 3) float32 RGB in [0, 1] and (S, S) float32 in [0, 1], the share
        of each window pixel that lies inside the photo. Outside, the photo's border pixels go on."""
        image, inside = sample_window(self.pixels, window)
        return image / np.float32(255), inside


def read_photo(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo file. Of an animation the first frame; colour profiles are converted to sRGB; alpha lies on white.

    Raises:
        ImageError: no such file, a directory, unreadable, empty, not an image of an accepted format, damaged or cut
            off, below 32 pixels a side, or above `max_pixels` (told by the header, before anything is decoded).
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path}: is a directory; expected a photo ({ACCEPTED}); `facefit batch` takes folders")
        if path.exists() and not path.is_file():
            raise ImageError(f"{path}: not a regular file; expected a photo ({ACCEPTED})")
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: the file is empty; expected a photo ({ACCEPTED})")
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings on size and odd EXIF; the size has its own limit below
            return _decode(stream, path, max_pixels)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except PermissionError:
        raise ImageError(f"{path}: permission denied; the file cannot be read") from None
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        size = f"{int(count[0]) / 1e6:.0f} megapixels" if count else "too many pixels"
        limit = f"the limit is {max_pixels / 1e6:g}, scale the photo down"
        raise ImageError(f"{path}: too large, {size}; {limit}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not an image that can be read; accepted: {ACCEPTED}") from None
    except MemoryError:
        raise ImageError(f"{path}: not enough memory to decode it; scale the photo down") from None
    except _DAMAGE as error:
        raise ImageError(f"{path}: damaged or cut off ({error}); expected {ACCEPTED}") from None


def _check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageError(
            f"{path}: too large, {width} x {height} pixels ({width * height / 1e6:.0f} megapixels); "
            f"the limit is {max_pixels / 1e6:g}, scale the photo down"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(f"{path}: too small, {width} x {height} pixels; at least {MIN_SIDE} a side are needed")


def _decode(stream: IO[bytes], path: Path, max_pixels: int) -> Photo:
    Image.init()
    with Image.open(stream, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
        stored = image.size
        _check_size(path, *stored, max_pixels)
        image.load()
        focal = exif_focal(image)
        pixels = _upright_rgb(image)
    logger.debug("%s: %d x %d, focal by EXIF %s px", path, pixels.shape[1], pixels.shape[0], focal)
    return Photo(pixels, path, focal, stored)


def _upright_rgb(image: Image.Image) -> np.ndarray:
    """Any mode Pillow decodes -> (H, W, 3) uint8 sRGB, upright."""
    profile = image.info.get("icc_profile")
    exif = image.getexif()
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
        profile = None
    transparent = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    if transparent:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image).convert("RGB")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _to_srgb(image, profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    turn = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
            7: "TRANSVERSE", 8: "ROTATE_90"}.get(orientation)  # fmt: skip
    if turn:
        image = image.transpose(Image.Transpose[turn])
    return np.array(image)


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    """Grey of 16 or 32 bits or float -> uint8; Pillow's own conversion would clip at 255. Range told by the peak."""
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("pixels that are not finite")
    peak = float(values.max(initial=0))
    full = 1.0 if peak <= 1 else 255.0 if peak <= 255 else 65535.0
    return np.rint(np.clip(values / full, 0, 1) * 255).astype(np.uint8)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert by the embedded colour profile; a profile that cannot be used is left aside."""
    try:
        import io

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        logger.info("the photo's colour profile is left aside: %s", error)
        return image
