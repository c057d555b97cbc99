"""What a user chooses of the files of a face: light to import, for options are read before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..vocabulary import DENSEST, SPACES, TEXTURES, UNITS
from .paths import check_detail, detail_paths, output_paths


@dataclass(frozen=True)
class FileStyle:
    """What a user chooses of the files.

    Attributes:
        space: "model" (upright, facing +z) or "camera" (as the camera sees it).
        texture_size: side of the texture in pixels.
        texture: "photo" (with its light) or "albedo" (without).
        units: of OBJ and PLY, "mm" or "m".
        quantize, bones: of GLB: whole numbers, for half the bytes; a skin with bones for head and eyes.
        jpeg: of GLB and USD: a JPEG as the picture.
        detail: a normal map of what shading tells, and heights as a PNG beside the mesh; exr: as an EXR too.
        subdivide: so often each triangle becomes four, with the heights in the vertices.
    """

    space: str = "model"
    texture_size: int = 1024
    texture: str = "photo"
    units: str = "mm"
    quantize: bool = False
    bones: bool = False
    jpeg: bool = False
    detail: bool = False
    exr: bool = False
    subdivide: int = 0

    def __post_init__(self) -> None:
        for name, accepted in (("space", SPACES), ("texture", TEXTURES), ("units", UNITS)):
            if getattr(self, name) not in accepted:
                raise ValueError(f"{name} is {getattr(self, name)!r}; accepted: {', '.join(accepted)}")
        if not 0 <= self.subdivide <= DENSEST:
            raise ValueError(f"subdivide is {self.subdivide}; accepted: 0 to {DENSEST}")
        if (self.exr or self.subdivide) and not self.detail:
            raise ValueError("exr and subdivide are ways to write detail, not asked for; accepted: detail=True")

    def paths(self, output: Path) -> list[Path]:
        """The files of a result in this style, the mesh first, the JSON last.

        Raises:
            OutputError: the suffix is of no mesh, or of one that cannot hold what is asked for.
        """
        *files, document = output_paths(output)
        check_detail(output, self.detail, self.subdivide)
        return [*files, *(detail_paths(output, self.exr) if self.detail else []), document]
