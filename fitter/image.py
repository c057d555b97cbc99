"""Read a photo (orientation, alpha, grey, 16 bit, CMYK, huge) and look at it through a square window.

A photo is kept as 8-bit sRGB: a third of the memory of float, and no detector, segmenter or camera here sees finer.
The window's pixels are floats, so nothing is rounded twice.
"""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from .errors import ImageError
from .geometry.camera import DEFAULT_FOCAL_PER_SIDE, Camera, WindowTransform

log = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000  # 100 megapixels decode to 0.4 GB; the check reads the header alone
MIN_SIDE = 32  # pixels; below, no detector finds a face and a texture would be four colours
# Formats whose decoders are part of Pillow. Others it knows are no photos, or start programs (EPS runs Ghostscript).
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF")
ACCEPTED = "JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000 or AVIF"

# The window: landmarks span forehead to chin and cheek to cheek; 1.6 of that shows the head with its ears and the
# hairline. They stop short of the crown, so the window sits higher than their middle by this share of its side.
WINDOW_MARGIN = 1.6
WINDOW_RISE = 0.05

# A face that is small in a wide photo would get a fish-eye from the papers' rule (focal by the side of the face); a
# camera's normal lens sees its film's diagonal, 43 mm on 36 mm of width, so the default is never wider than that.
NORMAL_FOCAL_PER_LONG_SIDE = 1.2

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
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
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


def _decode(stream, path: Path, max_pixels: int) -> Photo:
    Image.init()
    with Image.open(stream, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
        stored = image.size
        _check_size(path, *stored, max_pixels)
        image.load()
        focal = _exif_focal(image)
        pixels = _upright_rgb(image)
    log.debug("%s: %d x %d, focal by EXIF %s px", path, pixels.shape[1], pixels.shape[0], focal)
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
        log.info("the photo's colour profile is left aside: %s", error)
        return image


def _exif_focal(image: Image.Image) -> float | None:
    """Focal length in pixels of the decoded photo by EXIF, or None where EXIF is silent or cannot be right.

    FocalLengthIn35mmFilm is taken against 36 mm along the long side (phones state their long side's field of view
    so); else FocalLength with the focal plane's resolution. A photo whose sides no longer have the ratio that EXIF
    states was cropped: its focal length says nothing about these pixels.
    """
    try:
        tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
        width, height = image.size
        full_width = float(tags.get(ExifTags.Base.ExifImageWidth) or 0)
        full_height = float(tags.get(ExifTags.Base.ExifImageHeight) or 0)
        if full_width > 0 and full_height > 0:
            ratio = (width / height) / (full_width / full_height)
            turned = (width / height) / (full_height / full_width)
            if min(abs(math.log(ratio)), abs(math.log(turned))) > 0.02:
                log.info("EXIF is of a %g x %g photo, this one was cropped: its focal length is left aside",
                         full_width, full_height)  # fmt: skip
                return None
        focal = None
        film = float(tags.get(ExifTags.Base.FocalLengthIn35mmFilm) or 0)
        length = float(tags.get(ExifTags.Base.FocalLength) or 0)
        resolution = float(tags.get(ExifTags.Base.FocalPlaneXResolution) or 0)
        if film > 0:
            focal = film / 36.0 * max(width, height)
        elif length > 0 and resolution > 0 and full_width > 0:
            unit = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}.get(tags.get(ExifTags.Base.FocalPlaneResolutionUnit, 2))
            if unit:
                focal = length * resolution / unit * max(width, height) / max(full_width, full_height)
    except (TypeError, ValueError, ZeroDivisionError, AttributeError, KeyError, SyntaxError, struct.error):
        return None  # EXIF is written by anyone; what cannot be read does not count
    # 8 mm is a fish-eye and 1200 mm a telescope on 36 mm of film; beyond, the tag is wrong
    if focal is None or not math.isfinite(focal) or not 8 / 36 <= focal / max(width, height) <= 1200 / 36:
        return None
    return focal


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


def crop_window(landmarks: Tensor | np.ndarray, size: int = 224, margin: float = WINDOW_MARGIN) -> WindowTransform:
    """The square window around a face's landmarks.

    Args:
        landmarks: (N, 2) or (B, N, 2) photo pixels.
        size: side of the window in window pixels.
        margin: side of the window over the longer side of the landmarks' box.
    Returns:
        WindowTransform of B windows (B = 1 for (N, 2)); it may reach over the photo's border.
    Raises:
        ValueError: landmarks of another shape, not finite, or all in one place; size or margin not positive.
    """
    points = torch.as_tensor(landmarks).detach().to("cpu", torch.float32)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[-1] != 2 or not torch.isfinite(points).all():
        raise ValueError(f"landmarks of shape {tuple(points.shape)}; expected finite (N, 2) or (B, N, 2) photo pixels")
    if size < 1 or not margin > 0:
        raise ValueError(f"size {size} px, margin {margin}; expected both positive")
    low, high = points.amin(1), points.amax(1)
    extent = (high - low).amax(1)
    if not (extent > 0).all():
        raise ValueError("the landmarks of a face all lie in one place")
    side = extent * margin
    centre = (low + high) / 2 - torch.tensor([0.0, WINDOW_RISE]) * side[:, None]
    return WindowTransform(centre - side[:, None] / 2, size / side, size)


def sample_window(pixels: np.ndarray, window: WindowTransform) -> tuple[np.ndarray, np.ndarray]:
    """An image through one window (B = 1): each pixel is the mean of the bilinear interpolant under it.

    One rule for both directions: it is the area average when the window shrinks the photo and goes over into bilinear
    interpolation when it enlarges it, and it keeps a linear ramp exactly, so nothing is displaced by half a pixel.

    Args:
        pixels: (H, W, C) of any real type.
        window: photo pixels -> window pixels.
    Returns:
        (S, S, C) float32 in the units of `pixels`, and (S, S) float32: the share of the footprint inside the photo.
        Outside the photo its border pixels go on.
    """
    (x, y), scale = _one_window(window)
    height, width = pixels.shape[:2]
    columns = _footprints(x, scale, window.size, width)
    rows = _footprints(y, scale, window.size, height)
    left = min(int(index.min()) for index, _ in columns)
    right = max(int(index.max()) for index, _ in columns) + 1
    narrow = np.empty((window.size, right - left, pixels.shape[2]), np.float32)
    for out, (index, weight) in zip(narrow, rows, strict=True):
        np.einsum("k,kwc->wc", weight, pixels[index, left:right].astype(np.float32), out=out)
    image = np.empty((window.size, window.size, pixels.shape[2]), np.float32)
    for number, (index, weight) in enumerate(columns):
        image[:, number] = np.einsum("k,hkc->hc", weight, narrow[:, index - left])
    return image, np.outer(_inside(y, scale, window.size, height), _inside(x, scale, window.size, width))


def sample_labels(labels: np.ndarray, window: WindowTransform, outside: int = 0) -> np.ndarray:
    """(H, W) labels of the photo through one window (B = 1): (S, S), nearest pixel, `outside` beyond the border."""
    (x, y), scale = _one_window(window)
    centres = (np.arange(window.size) + 0.5) / scale
    rows, columns = np.floor(y + centres).astype(int), np.floor(x + centres).astype(int)
    height, width = labels.shape
    seen = labels[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)]
    valid = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return np.where(valid, seen, np.asarray(outside, labels.dtype))


def _one_window(window: WindowTransform) -> tuple[tuple[float, float], float]:
    if window.scale.numel() != 1:
        raise ValueError(f"a batch of {window.scale.numel()} windows; expected one")
    x, y = window.origin.reshape(2).tolist()
    return (x, y), float(window.scale)


def _footprints(origin: float, scale: float, size: int, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each window pixel along one axis: the photo pixels under it (clamped to the photo) and their weights."""

    def tent_integral(t: np.ndarray) -> np.ndarray:
        t = np.clip(t, -1, 1)
        return np.where(t < 0, 0.5 * (1 + t) ** 2, 1 - 0.5 * (1 - t) ** 2)

    result = []
    for number in range(size):
        start, stop = origin + number / scale, origin + (number + 1) / scale
        index = np.arange(math.floor(start - 0.5), math.floor(stop - 0.5) + 2)
        weight = tent_integral(stop - index - 0.5) - tent_integral(start - index - 0.5)
        result.append((np.clip(index, 0, limit - 1), (weight / weight.sum()).astype(np.float32)))
    return result


def _inside(origin: float, scale: float, size: int, limit: int) -> np.ndarray:
    """(S,) share of each window pixel's extent along one axis that lies in [0, limit]."""
    edges = np.clip(origin + np.arange(size + 1) / scale, 0, limit)
    return (np.diff(edges) * scale).astype(np.float32)
