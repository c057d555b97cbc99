"""The focal length that a photo's EXIF tells."""

from __future__ import annotations

import logging
import math
import struct

from PIL import ExifTags, Image

logger = logging.getLogger(__name__)


def exif_focal(image: Image.Image) -> float | None:
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
                logger.info("EXIF is of a %g x %g photo, this one was cropped: its focal length is left aside",
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
