"""The detail of a result as files: heights as a 16-bit PNG or an EXR, a normal map, a finer mesh."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError
from ..files.picture_bytes import png_bytes
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from .dense_mesh import DenseMesh, dense_mesh
from .morph_targets import Morphs
from .normal_map import OFFSET, SCALE, UNIT, height_map, heights_as_numbers, normal_map
from .paths import detail_paths
from .relief import Relief, relief


@dataclass(frozen=True)
class Detail:
    """What is written of a relief.

    Attributes:
        normals: (T, T, 3) uint8, tangent-space, of the mesh that is written.
        height: (T, T) float32 mm along the normals of the model's mesh.
        model: whose mesh is written; dense: that mesh, where it is a finer one.
        relief: what it was made of.
    """

    normals: np.ndarray
    height: np.ndarray
    model: FaceModel
    relief: Relief
    dense: DenseMesh | None

    def raised(self, verts: np.ndarray) -> np.ndarray:
        """(V, 3) mm of the model -> vertices (V', 3) of the mesh that is written."""
        return verts if self.dense is None else self.dense.raised(self.dense.verts(verts), self.height)

    def morphs(self, morphs: Morphs) -> Morphs:
        """Those of the mesh that is written."""
        return morphs if self.dense is None else self.dense.morphs(morphs, self.height)

    def files(self, output: Path, exr: bool) -> dict[Path, bytes]:
        """What lies beside a mesh: path -> content. Raises OutputError: an EXR without its library."""
        contents = {}
        for path in detail_paths(output, exr):
            if path.suffix == ".exr":
                contents[path] = exr_bytes(self.height)
            elif path.name.endswith("_normals.png"):
                contents[path] = png_bytes(self.normals)
            else:
                contents[path] = png_bytes(heights_as_numbers(self.height))
        return contents

    def about(self, files: Iterable[Path]) -> dict[str, Any]:
        """What the JSON says of it."""
        return {
            "displacement": {
                "files": [path.name for path in files if "_displacement." in path.name],
                "unit": UNIT, "scale": SCALE, "offset": OFFSET,
                "convention": "PNG: scale * value + offset, in tenths of a millimetre; EXR: millimetres; both along "
                "the normals of the mesh without it, in the layout of the texture",
            },
            "normals": "tangent space, as glTF's: red along u, green along v, blue out of the skin",
            "levels": 0 if self.dense is None else len(self.dense.levels),
            "shown": round(self.relief.shown, 3),
        }  # fmt: skip


def find_detail(result: FitResult, size: int, levels: int = 0) -> Detail:
    """The detail of a fit by its own photo.

    Args:
        size: side of its pictures in pixels. levels: so often each triangle becomes four.
    """
    found = relief(result, size)
    height = height_map(found, size)
    scene = result.sighting.scene
    verts = scene.verts_in("model")
    if not levels:
        return Detail(normal_map(found, size, scene.model, verts, verts), height, result.model, found, None)
    dense = dense_mesh(result.model.to("cpu"), levels)
    smooth = dense.verts(verts)
    normals = normal_map(found, size, dense.model, smooth, dense.raised(smooth, height))
    return Detail(normals, height, dense.model, found, dense)


def load_exr() -> Any:
    """The library OpenEXR. Raises OutputError: it is not installed."""
    try:
        import OpenEXR
    except ImportError:
        raise OutputError("an .exr is written by OpenEXR, which is not here: pip install 'facefit[exr]'") from None
    return OpenEXR


def exr_bytes(height: np.ndarray) -> bytes:
    """(T, T) float32 mm -> OpenEXR, one channel Y, without loss. Raises OutputError: its library is not installed."""
    library = load_exr()
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "height.exr")
        library.File(header, {"Y": np.ascontiguousarray(height, np.float32)}).write(str(path))
        return path.read_bytes()
