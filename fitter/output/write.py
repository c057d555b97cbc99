"""A FitResult as files: a mesh (.obj + .mtl + .png, .ply or .glb) and, beside it, everything else as `<stem>.json`.

The JSON (`format` "facefit-result", `format_version` 1) describes the mesh beside it by itself:

* `mesh`: file, space ("model" or "camera"), units, counts.
* `camera`: the camera of the original photo for points **of this mesh**: X_camera = R X_mesh + t in mm, the camera
  looks along -z with y up, u = cx + fx * x / -z, v = cy - fy * y / -z; upright photo, v down, pixel centres at +0.5.
  With `--space camera` R is the identity and t is zero. `opencv` is the same for OpenCV's axes (y down, z forward).
* `parameters`: what was fitted, in the model's units; `rotvec` and `translation` map model to camera space.
* `landmarks7`: the seven evaluation points in the mesh's own coordinates, in the order of `landmarks7_names`.
* `energies`, `part_iou`, `landmark_error`, `seconds`, `status`, `config`, `versions`, `model`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..files.mesh_bytes import mtl_bytes, obj_bytes, ply_bytes
from ..files.outputs import write_files
from ..files.picture_bytes import png_bytes
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..vocabulary import SPACES
from .document import result_json
from .morph_targets import glb_bytes
from .paths import output_paths
from .texture_picture import texture_picture

logger = logging.getLogger(__name__)


def write_result(
    result: FitResult, output: Path, *, space: str = "model", texture_size: int = 1024, texture: str = "photo"
) -> list[Path]:
    """Write the mesh in the format of its suffix, and `<stem>.json`. All files appear together, or none does.

    Args, Raises:
        as `result_files`.
    Returns:
        the paths written, the mesh first, the JSON last.
    """
    photo = [Path(result.photo_path)] if result.photo_path else []
    contents = result_files(result, output, space=space, texture_size=texture_size, texture=texture)
    written = write_files(contents, photo)
    logger.info("wrote %s", ", ".join(path.name for path in written))
    return written


def result_files(
    result: FitResult, output: Path, *, space: str = "model", texture_size: int = 1024, texture: str = "photo"
) -> dict[Path, bytes]:
    """What `write_result` writes.

    The texture is `<stem>_texture.png`, not `<stem>.png`, so that `face.png -o face.obj` leaves the photo alone.

    Args:
        space: "model" (upright, facing +z) or "camera" (as the camera sees it).
        texture_size: side of the texture in pixels.
        texture: "photo" (with its light) or "albedo" (without).
    Returns:
        path -> content, the mesh first, the JSON last.
    Raises:
        OutputError: it cannot be written there.
        ValueError: another space or texture, or a texture size outside 16 to 8192.
    """
    output = Path(output)
    paths = output_paths(output)
    if space not in SPACES:
        raise ValueError(f"space is {space!r}; accepted: {', '.join(SPACES)}")
    scene, model = result.scene, result.model
    image = texture_picture(result, texture_size, texture)
    comment = f"facefit; millimetres; {space} space\nface model {model.name} {model.version}, {model.license}"
    contents = mesh_contents(
        paths, model, scene.verts_in(space), image, comment, lambda png: glb_bytes(scene, png, space)
    )
    document = result_json(result, output.name, space=space, texture=texture_size)
    contents.append((json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return dict(zip(paths, contents, strict=True))


def mesh_contents(
    paths: Sequence[Path], model: FaceModel, verts: np.ndarray, texture: np.ndarray, comment: str,
    glb: Callable[[bytes], bytes],
) -> list[bytes]:  # fmt: skip
    """The contents of all `output_paths` but the JSON.

    Args:
        paths: `output_paths`; the first one's suffix is the format.
        verts: (V, 3) mm; texture: (S, S, 3) uint8; comment: lines for the top of the mesh file.
        glb: PNG bytes -> GLB bytes, called for that format.
    """
    faces, uv, uv_faces = (value.cpu().numpy() for value in (model.faces, model.uv, model.uv_faces))
    suffix = paths[0].suffix.lower()
    if suffix == ".obj":
        _, library, image, _ = paths
        return [
            obj_bytes(verts, faces, uv, uv_faces, material="face", library=library.name, comment=comment),
            mtl_bytes("face", image.name),
            png_bytes(texture),
        ]
    if suffix == ".ply":
        return [ply_bytes(verts, faces, vertex_colours(texture, faces, uv, uv_faces, len(verts)), comment)]
    return [glb(png_bytes(texture))]


def vertex_colours(
    texture: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, count: int
) -> np.ndarray:
    """(S, S, 3) uint8 texture -> (count, 3) uint8, each vertex the texel at one of its texture coordinates.

    Args:
        faces: (F, 3); uv: (T, 2) in [0, 1], v up; uv_faces: (F, 3) into uv. count: number of vertices.
    """
    size = texture.shape[0]
    at = np.zeros((count, 2))
    at[faces.reshape(-1)] = uv[uv_faces.reshape(-1)]
    column = np.clip((at[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - at[:, 1]) * size).astype(int), 0, size - 1)
    return texture[row, column]
