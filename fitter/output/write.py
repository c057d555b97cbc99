"""A FitResult as files: a mesh (.obj + .mtl + .png, .ply or .glb, or a page .html that shows one) and, beside it, all
else as `<stem>.json`.

The JSON (`format` "facefit-result", `format_version` 1) describes the mesh beside it by itself:

* `mesh`: file, space ("model" or "camera"), counts; `units` of what follows, and of the file where it is OBJ or PLY
  (GLB is in metres by its definition); `up`, the axis that points up ("z" in PLY, which Blender takes for that).
* `camera`: the camera of the original photo for points **of this mesh**: X_camera = R X_mesh + t, the camera
  looks along -z with y up, u = cx + fx * x / -z, v = cy - fy * y / -z; upright photo, v down, pixel centres at +0.5.
  With `--space camera` R is the identity and t is zero. `opencv` is the same for OpenCV's axes (y down, z forward).
* `parameters`: what was fitted, in the model's units; `rotvec` and `translation` map model to camera space.
* `landmarks7`: the seven evaluation points in the mesh's own coordinates, in the order of `landmarks7_names`.
* `detail` (with `--detail`): the file of heights with its `scale` and `offset`, and how the mesh has them.
* `energies`, `part_iou`, `landmark_error`, `seconds`, `status`, `config`, `versions`, `model`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compute.threads import beside
from ..files.mesh_bytes import mtl_bytes, obj_bytes, ply_bytes
from ..files.outputs import write_files
from ..files.picture_bytes import jpg_bytes, png_bytes
from ..fit.result import FitResult
from ..model.face_model import FaceModel
from ..model.pieces import PIECES, face_pieces
from .document import result_json
from .morph_glb import morph_glb
from .morph_targets import Morphs, morph_targets
from .morph_usd import morph_usdz
from .paths import check_detail, detail_paths, output_paths
from .placing import placing
from .style import FileStyle
from .texture_picture import texture_picture
from .viewer_face import result_page

if TYPE_CHECKING:
    from .detail_files import Detail

logger = logging.getLogger(__name__)

JPEG_QUALITY = 92  # of a texture: 15 % of the bytes of the PNG


def write_result(result: FitResult, output: Path, **style: Any) -> list[Path]:
    """Write the mesh in the format of its suffix, and `<stem>.json`. All files appear together, or none does.

    Args:
        output: .obj, .ply, .glb or .html. style: see FileStyle.
    Returns:
        the paths written, the mesh first, the JSON last.
    Raises:
        as `result_files`.
    """
    photo = [Path(result.photo_path)] if result.photo_path else []
    written = write_files(result_files(result, output, FileStyle(**style)), photo)
    logger.info("wrote %s", ", ".join(path.name for path in written))
    return written


def result_files(result: FitResult, output: Path, style: FileStyle | None = None) -> dict[Path, bytes]:
    """What `write_result` writes.

    The texture is `<stem>_texture.png`, not `<stem>.png`, so that `face.png -o face.obj` leaves the photo alone.

    Returns:
        path -> content, the mesh first, the JSON last.
    Raises:
        OutputError: it cannot be written there. ValueError: a texture size outside 16 to 8192.
    """
    output, style = Path(output), style or FileStyle()
    scene, space = result.scene, style.space
    check_detail(output, style.detail, style.subdivide)
    paths = output_paths(output)
    place = placing(output, space, style.units)
    image = texture_picture(result, style.texture_size, style.texture)
    detail = load_detail(result, style.texture_size, style.subdivide) if style.detail else None
    model, verts, morphs = scene.model, scene.verts_in(space), lambda: morph_targets(scene, space)
    if detail is not None:
        model, verts, morphs = detail.model, detail.raised(verts), lambda: detail.morphs(morph_targets(scene, space))
    normals = None if detail is None else detail.normals
    contents = mesh_contents(
        paths, model, verts, image, f"{space} space", morphs, style,
        page=lambda: result_page(result, image, output.stem, space, normals=normals), normals=normals,
    )  # fmt: skip
    document = result_json(result, output.name, space=space, texture=style.texture_size, place=place)
    beside = {}
    if detail is not None:
        beside = detail.files(output, style.exr)
        document["mesh"] |= {"vertices": len(detail.model.verts), "faces": len(detail.model.faces)}
        document["detail"] = detail.about(beside)
    *files, last = paths
    contents.append((json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return {**dict(zip(files, contents, strict=False)), **beside, last: contents[-1]}


def load_detail(result: FitResult, size: int, levels: int = 0) -> Detail:
    """`facefit.output.detail_files.find_detail`, which a result without detail does not load."""
    from .detail_files import find_detail

    return find_detail(result, size, levels)


def mesh_contents(
    paths: Sequence[Path], model: FaceModel, verts: np.ndarray, texture: np.ndarray, told: str,
    morphs: Callable[[], Morphs], style: FileStyle, page: Callable[[], bytes], normals: np.ndarray | None = None,
) -> list[bytes]:  # fmt: skip
    """The contents of all `output_paths` but the JSON.

    Args:
        paths: `output_paths`; the first one's suffix is the format.
        verts: (V, 3) mm; texture: (S, S, 3) uint8.
        told: what the top of an OBJ or PLY says besides unit and model.
        morphs: what GLB and USD have instead of `verts`, and page: what an HTML file is; asked for these formats alone.
        normals: (T, T, 3) uint8, a tangent-space normal map; an MTL names it as the first of `detail_paths`.
    Raises:
        OutputError: .usdz without usd-core.
    """
    faces, uv, uv_faces = (value.cpu().numpy() for value in (model.faces, model.uv, model.uv_faces))
    suffix, relief = paths[0].suffix.lower(), None if normals is None else png_bytes(normals)
    if suffix == ".usdz":
        return [morph_usdz(model, morphs(), texture_bytes(texture, style), relief)]
    if suffix == ".glb":
        picture = beside(lambda: texture_bytes(texture, style))
        return [
            morph_glb(
                model, morphs(), picture.result(), quantize=style.quantize, bones=style.bones, normals=relief
            )
        ]  # fmt: skip
    if suffix == ".html":
        return [page()]
    place = placing(paths[0], style.space, style.units)
    comment = f"facefit; {place.comment()}; {told}\nface model {model.name} {model.version}, {model.license}"
    if suffix == ".ply":
        return [ply_bytes(place(verts), faces, vertex_colours(texture, faces, uv, uv_faces, len(verts)), comment)]
    _, library, image, _ = paths
    picture = beside(lambda: png_bytes(texture))
    piece = face_pieces(model)
    groups = [(name, np.flatnonzero(piece == k)) for k, name in enumerate(PIECES) if (piece == k).any()]
    mesh = obj_bytes(
        place(verts), faces, uv, uv_faces, name="head", groups=groups, library=library.name, comment=comment,
        decimals=place.decimals,
    )  # fmt: skip
    turned = None if normals is None else detail_paths(paths[0])[0].name
    return [mesh, mtl_bytes([name for name, _ in groups], image.name, turned), picture.result()]


def texture_bytes(texture: np.ndarray, style: FileStyle) -> bytes:
    """(S, S, 3) uint8 as it lies in a GLB."""
    return jpg_bytes(texture, JPEG_QUALITY) if style.jpeg else png_bytes(texture)


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
