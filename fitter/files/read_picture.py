"""The one reader of picture files: photos, pictures of labels, textures. What it lets in is listed here.

Nothing is decoded before the header has told the format and the size. Pillow alone would also start programs
(Ghostscript for an EPS, whatever the file is called) and expand a file of a few kilobytes to gigabytes.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from ..errors import FaceFitError, ImageError
from .quiet_stderr import quiet_stderr
from .untrusted import one_line

# Pillow logs some damage before it raises: on stderr, that would be a second line of what the error says.
logging.getLogger("PIL").addHandler(logging.NullHandler())
logging.getLogger("PIL").propagate = False

MAX_PIXELS = 100_000_000
MAX_BYTES = 1_200_000_000  # of memory at the worst moment, by DECODER_BYTES

# Formats whose decoders are part of Pillow or pi-heif, with the bytes a pixel that reading a photo takes at its
# worst moment, the result included, measured (tests/files/test_read_picture.py): of a progressive JPEG in four
# colours, of 16 bits, of transparency. Beside them come 20 MB, whatever the size, for the strips in which a photo is
# converted or read as text: in a small photo those count for more. Others that Pillow knows are no photos, or start
# programs.
DECODER_BYTES = {
    "JPEG": 12, "MPO": 12, "PNG": 10, "WEBP": 21, "TIFF": 16, "BMP": 10, "GIF": 8, "PPM": 12, "JPEG2000": 28,
    "AVIF": 20, "HEIF": 20,
}  # fmt: skip
FORMATS = tuple(DECODER_BYTES)

# Bytes of a file: 75 megapixels of 16-bit RGBA as they are. Decoders of WebP, AVIF and HEIC, which compress well, read
# the file as a whole, and that of GIF looks for the next picture byte by byte, 5 MB in a second.
LARGEST_FILE = 640 << 20
_SMALLER_FILES = ((0, b"RIFF", 128 << 20), (4, b"ftyp", 128 << 20), (0, b"GIF8", 64 << 20))  # signature, and where

ACCEPTED = "JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, AVIF or HEIC"

_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # tags of a TIFF; its tiles are decoded whole, also where the picture is smaller


@contextlib.contextmanager
def open_picture(
    source: Path | bytes,
    *,
    name: str | os.PathLike | None = None,
    what: str = "picture",
    max_pixels: int = MAX_PIXELS,
    error: type[FaceFitError] = ImageError,
) -> Iterator[Image.Image]:
    """A picture whose header was read and found good; `decode` it inside. Whatever fails inside becomes one error.

    Args:
        source: the file, or its bytes.
        name: what errors call it; None: the file's path.
        what: what the file should be, for errors: "photo".
        max_pixels: above, it is refused by its header.
        error: its type.
    Raises:
        error: of one line that starts with the name: no such file, no regular file, unreadable, empty, not of an
            accepted format, damaged or cut off, above `max_pixels`, or above MAX_BYTES while it is decoded.
    """
    where = source if name is None and isinstance(source, Path) else name
    try:
        # Pillow's warnings on size and odd EXIF; the size has its own limit here
        with warnings.catch_warnings(), _stream(source, what) as stream:
            warnings.simplefilter("ignore")
            _register_heif()
            Image.init()
            with Image.open(stream, formats=[known for known in FORMATS if known in Image.OPEN]) as image:
                _check(image, max_pixels)
                yield image
    except FaceFitError as reason:
        raise error(text if (text := str(reason)).startswith(f"{where}: ") else f"{where}: {text}") from None
    except FileNotFoundError:
        raise error(f"{where}: no such file") from None
    except PermissionError:
        raise error(f"{where}: permission denied; the file cannot be read") from None
    except Image.DecompressionBombError as reason:
        count = re.search(r"\d+", str(reason))
        size = f"{int(count[0]) / 1e6:.0f} megapixels" if count else "too many pixels"
        raise error(f"{where}: too large, {size}; the limit is {max_pixels / 1e6:g}, scale it down") from None
    except UnidentifiedImageError:
        raise error(f"{where}: not an image that can be read; accepted: {ACCEPTED}") from None
    except MemoryError:
        raise error(f"{where}: not enough memory to decode it; scale it down") from None
    except OSError as reason:
        text = f"{reason.strerror}" if reason.errno else f"damaged or cut off ({one_line(reason)}); expected {ACCEPTED}"
        raise error(f"{where}: {text}") from None
    except Exception as reason:  # decoders raise types of their own on damaged data, and some RuntimeError
        raise error(f"{where}: damaged or cut off ({one_line(reason)}); expected {ACCEPTED}") from None


def decode(image: Image.Image) -> None:
    """Decode all pixels; what libtiff writes about it to the process's stderr becomes the error, or is dropped."""
    if image.format != "TIFF":
        image.load()
        return
    with quiet_stderr() as lines:
        try:
            image.load()
        except OSError as reason:
            raise OSError("; ".join([str(reason), *lines()])) from None


def _stream(source: Path | bytes, what: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if source.is_dir():
        hint = "; `facefit batch` takes folders" if what == "photo" else ""
        raise ImageError(f"is a directory; expected a {what} ({ACCEPTED}){hint}")
    if source.exists() and not source.is_file():
        raise ImageError(f"not a regular file; expected a {what} ({ACCEPTED})")
    size = source.stat().st_size
    if size == 0:
        raise ImageError(f"the file is empty; expected a {what} ({ACCEPTED})")
    stream = source.open("rb")
    begin = stream.read(16)
    stream.seek(0)
    limits = [limit for at, signature, limit in _SMALLER_FILES if begin[at:].startswith(signature)]
    if size > (limit := min(limits, default=LARGEST_FILE)):
        stream.close()
        raise ImageError(f"too large, {size >> 20} MiB; a file of that format may have {limit >> 20}")
    return stream


def _check(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    pixels, size = width * height, f"{width} x {height} pixels"
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        tile = int(tags.get(_TILE_WIDTH) or 0) * int(tags.get(_TILE_HEIGHT) or 0)
        if tile > max(pixels, 1 << 22):
            raise ImageError(f"damaged: {size} in tiles of {tile / 1e6:.0f} megapixels")
    size = f"{size} ({pixels / 1e6:.0f} megapixels)"
    if pixels > max_pixels:
        raise ImageError(f"too large, {size}; the limit is {max_pixels / 1e6:g}, scale it down")
    needed = pixels * DECODER_BYTES[str(image.format)]
    if needed > MAX_BYTES:
        raise ImageError(
            f"too large, {size}: decoding {image.format} of that size takes {needed / 1e9:.1f} GB; "
            f"the limit is {MAX_BYTES / 1e9:g}, scale it down or save it as PNG"
        )


@functools.cache
def _register_heif() -> None:
    import pi_heif  # when the first picture is read: a tenth of a second that --help does not need

    pi_heif.register_heif_opener()
