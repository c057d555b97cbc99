"""A head as one HTML page that shows it, plays with it, and needs no network.

The page is `viewer.html` beside this file, with the script `data/viewer.js` (three.js and facefit's own code, built
from `viewer/` by `make viewer`) and what it shows inside: a GLB, and a JSON with the rest. Scale, pieces and names of
shapes are the GLB's; landmarks and cameras are in millimetres. A content security policy forbids the page every
address but its own data.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from ..anatomy.measures import MEASURES
from ..anatomy.parts import COLOURS, LABELS, PART_LABELS
from ..bundled import bundled
from ..errors import InputError

LARGEST_GLB = 1 << 28  # bytes that a page's GLB may unpack to
_STEP = 0.01  # mm: unit of the landmarks' motion
_PACKED = re.compile(rb'<script type="text/plain" id="glb">([A-Za-z0-9+/=]*)</script>')


@dataclass(frozen=True)
class Shot:
    """A photo of the head, and the camera that took it.

    Attributes:
        name: for its button.
        jpeg: the picture; width, height: in pixels.
        focal, centre: fx, fy and cx, cy in its pixels.
        rotation, translation: (3, 3) and (3,) mm: the head's coordinates -> the camera's (x right, y up, looks to -z).
        weights: of the shapes, where the head looks otherwise in this photo than when the page is opened.
    """

    name: str
    jpeg: bytes
    width: int
    height: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    rotation: np.ndarray
    translation: np.ndarray
    weights: Mapping[str, float] | None = None

    def as_json(self) -> dict:
        """For the page."""
        (fx, fy), (cx, cy) = self.focal, self.centre
        camera = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "R": self.rotation.tolist(), "t": self.translation.tolist()}
        return {
            "name": self.name, "src": address(self.jpeg, "image/jpeg"), "width": self.width, "height": self.height,
            "camera": camera, "weights": None if self.weights is None else dict(self.weights),
        }  # fmt: skip


@dataclass(frozen=True)
class Landmarks:
    """Where the landmarks lie on the head, and what its shapes do to them.

    Attributes:
        rest: (L, 3) mm, on the GLB's mesh without its morph targets.
        moves: (T, L, 3) mm, at a weight of 1; names: (T,) of the shapes.
    """

    rest: np.ndarray
    moves: np.ndarray
    names: Sequence[str]

    def as_json(self) -> dict:
        """For the page."""
        steps = np.clip(np.rint(self.moves / _STEP), -32768, 32767).astype("<i2")
        return {
            "rest": packed(self.rest.astype("<f4").tobytes()), "moves": packed(steps.tobytes()), "step": _STEP,
            "names": list(self.names),
        }  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: its heading. glb: the head. file: what the GLB is called when it is saved.
        status: in words. light: "good", "doubtful" or "failed", the colour beside it.
        shapes: names of the GLB's morph targets that get a slider; span: the least and greatest value of one.
        shots: photos of the head. maps: "albedo" and "parts" -> (address of) a picture in the layout of the GLB's
            texture. landmarks: or None. measures: of MEASURES, in mm. numbers: rows of the table.
        credit: where the head comes from.
    """

    title: str
    glb: bytes
    file: str = "face.glb"
    status: str = ""
    light: str = "good"
    shapes: Sequence[str] = ()
    span: tuple[float, float] = (0.0, 1.0)
    shots: Sequence[Shot] = ()
    maps: Mapping[str, str] = field(default_factory=dict)
    landmarks: Landmarks | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    numbers: Sequence[tuple[str, str]] = ()
    credit: str = ""

    def html(self) -> bytes:
        """The file."""
        about = {
            "file": self.file, "shapes": list(self.shapes), "range": list(self.span), "maps": dict(self.maps),
            "photos": [shot.as_json() for shot in self.shots],
            "landmarks": None if self.landmarks is None else self.landmarks.as_json(),
            "measures": [{"name": name, "mm": mm, "between": MEASURES[name]} for name, mm in self.measures.items()],
            "parts": [(LABELS[label].replace("_", " "), _hex(COLOURS[label])) for label in range(1, PART_LABELS)],
            "numbers": [list(row) for row in self.numbers],
        }  # fmt: skip
        text = {
            "title": _escaped(self.title), "status": _escaped(self.status), "light": _escaped(self.light),
            "credit": _escaped(self.credit), "glb": packed(self.glb),
            # in a script element nothing but "</script" and "<!--" means something
            "about": json.dumps(about, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
            "script": bundled("viewer.js").read_text(encoding="utf-8"),
        }  # fmt: skip
        template = resources.files(__package__).joinpath("viewer.html").read_text(encoding="utf-8")
        return re.sub(r"@(\w+)@", lambda found: text[found[1]], template).encode()


def page_glb(page: bytes, where: str) -> bytes:
    """The GLB inside a page.

    Args:
        where: what a message begins with.
    Raises:
        InputError: it holds none, or a damaged one.
    """
    found = _PACKED.search(page)
    if found is None:
        raise InputError(f"{where}: not a page that facefit wrote")
    try:
        unpacker = zlib.decompressobj(wbits=31)  # of gzip
        glb = unpacker.decompress(base64.b64decode(found[1], validate=True), LARGEST_GLB)
    except (ValueError, zlib.error) as error:
        raise InputError(f"{where}: the head inside the page is damaged ({error})") from None
    if not unpacker.eof:
        raise InputError(f"{where}: the head inside the page is cut off, or larger than {LARGEST_GLB >> 20} MiB")
    return glb


def packed(data: bytes) -> str:
    """Bytes as base64 of gzip; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(data, 5, mtime=0)).decode()


def address(data: bytes, kind: str) -> str:
    """A picture as an address that is its content."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _hex(colour: np.ndarray) -> str:
    return "#" + "".join(f"{value:02x}" for value in colour.tolist())


def _escaped(text: str) -> str:
    """File names may hold bytes that are no text."""
    return html.escape(text.encode("utf-8", "replace").decode())
