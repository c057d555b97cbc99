"""A FitResult as files: a mesh (.obj + .mtl + .png, .ply or .glb) and, beside it, everything else as `<stem>.json`.

The JSON (`format` "facefit-result", `format_version` 1) describes the mesh beside it by itself:

* `mesh`: file, space ("model" or "camera"), units, counts.
* `camera`: the camera of the original photo for points **of this mesh**: X_camera = R X_mesh + t in mm, the camera
  looks along -z with y up, u = cx + fx * x / -z, v = cy - fy * y / -z; upright photo, v down, pixel centres at +0.5.
  With `--space camera` R is the identity and t is zero. `opencv` is the same for OpenCV's axes (y down, z forward).
* `parameters`: what was fitted, in the model's units; `rotvec` and `translation` map model to camera space.
* `landmarks7`: the seven evaluation points in the mesh's own coordinates, in the order of `landmarks7_names`.
* `energies`, `part_iou`, `landmark_error`, `seconds`, `status`, `seed`, `config`, `versions`, `model`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from .anatomy.landmarks import LANDMARK7_NAMES
from .errors import OutputError
from .export_gltf import glb_bytes
from .files.mesh_bytes import mtl_bytes, obj_bytes, ply_bytes, png_bytes
from .files.outputs import write_files
from .fit.result import SPACES, FitResult
from .geometry.camera import Camera
from .model.face_model import FaceModel
from .scene.parameters import Parameters

logger = logging.getLogger(__name__)

FORMAT, FORMAT_VERSION = "facefit-result", 1
SUFFIXES = (".obj", ".ply", ".glb")
_CONVENTION = (
    "X_camera = R X_mesh + t (mm; camera looks along -z, x right, y up); u = cx + fx x / -z, v = cy - fy y / -z; "
    "photo pixels of the upright photo, v down, the centre of the top left pixel is (0.5, 0.5); R is row-major"
)
_OPENCV_CONVENTION = "x_opencv = R X_mesh + t (x right, y down, z forward); u = fx x / z + cx, v = fy y / z + cy"


def output_paths(output: Path) -> list[Path]:
    """The files that `write_result` makes, the mesh first, the JSON last.

    Raises:
        OutputError: the suffix is not that of a mesh format.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{output}: unknown mesh format {output.suffix!r}; accepted: {', '.join(SUFFIXES)}")
    beside = [output.with_suffix(".json")]
    if output.suffix.lower() == ".obj":
        beside = [output.with_suffix(".mtl"), output.with_name(f"{output.stem}_texture.png"), *beside]
    return [output, *beside]


def write_result(result: FitResult, output: Path, *, space: str = "model", texture_size: int = 1024) -> list[Path]:
    """Write the mesh in the format of its suffix, and `<stem>.json`. All files appear together, or none does.

    Args, Raises:
        as `result_files`.
    Returns:
        the paths written, the mesh first, the JSON last.
    """
    photo = [Path(result.photo_path)] if result.photo_path else []
    written = write_files(result_files(result, output, space=space, texture_size=texture_size), photo)
    logger.info("wrote %s", ", ".join(path.name for path in written))
    return written


def result_files(
    result: FitResult, output: Path, *, space: str = "model", texture_size: int = 1024
) -> dict[Path, bytes]:
    """What `write_result` writes.

    The texture is `<stem>_texture.png`, not `<stem>.png`, so that `face.png -o face.obj` leaves the photo alone.

    Args:
        space: "model" (upright, facing +z) or "camera" (as the camera sees it).
        texture_size: side of the texture in pixels.
    Returns:
        path -> content, the mesh first, the JSON last.
    Raises:
        OutputError: it cannot be written there.
        ValueError: another space, or a texture size outside 16 to 8192.
    """
    output = Path(output)
    paths = output_paths(output)
    if space not in SPACES:
        raise ValueError(f"space is {space!r}; accepted: {', '.join(SPACES)}")
    texture = _texture(result, texture_size)
    model = result.model
    comment = f"facefit; millimetres; {space} space\nface model {model.name} {model.version}, {model.license}"
    contents = mesh_contents(
        paths, model, result.verts_in(space), texture, comment, lambda image: glb_bytes(result, image, space)
    )
    document = result_json(result, output.name, space=space, texture=texture.shape[0])
    contents.append((json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    return dict(zip(paths, contents, strict=True))


def mesh_contents(
    paths: Sequence[Path], model: FaceModel, verts: np.ndarray, texture: np.ndarray, comment: str,
    glb: Callable[[bytes], bytes],
) -> list[bytes]:  # fmt: skip
    """The contents of all `output_paths` but the JSON.

    Args:
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


def _texture(result: FitResult, size: int) -> np.ndarray:
    from .texture import unwrap

    return unwrap(result, size)[0]


def vertex_colours(
    texture: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, count: int
) -> np.ndarray:
    """(S, S, 3) uint8 texture -> (count, 3) uint8, each vertex the texel at one of its texture coordinates."""
    size = texture.shape[0]
    at = np.zeros((count, 2))
    at[faces.reshape(-1)] = uv[uv_faces.reshape(-1)]
    column = np.clip((at[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - at[:, 1]) * size).astype(int), 0, size - 1)
    return texture[row, column]


def result_json(result: FitResult, mesh_file: str, *, space: str = "model", texture: int = 0) -> dict:
    """The JSON document of the module's docstring. Numbers that are not finite become null."""
    model, value, width, height = result.model, result.parameters, *result.photo_size
    fx, fy = result.camera.focal[0].detach().cpu().double().tolist()
    cx, cy = result.camera.centre[0].detach().cpu().double().tolist()
    rotation, translation = result.pose() if space == "model" else (np.eye(3), np.zeros(3))
    flip = np.diag([1.0, -1.0, -1.0])
    parameters = {k: v[0].detach().cpu().double().tolist() for k, v in value.tensors().items()}
    window = result.window
    return finite(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "mesh": {
                "file": mesh_file, "space": space, "units": "millimetre", "vertices": model.verts.shape[0],
                "faces": model.faces.shape[0], "texture_size": texture,
            },
            "status": result.status,
            "landmark_error": result.landmark_error,
            "landmark_error_unit": "fraction of the distance between the outer eye corners",
            "part_iou": dict(result.part_iou),
            "energies": dict(result.energies),
            "seconds": dict(result.seconds),
            "camera": {
                "fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": width, "height": height,
                "R": rotation.tolist(), "t": translation.tolist(), "convention": _CONVENTION,
                "opencv": {
                    "K": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], "R": (flip @ rotation).tolist(),
                    "t": (flip @ translation).tolist(), "convention": _OPENCV_CONVENTION,
                },
            },
            "window": {
                "origin": window.origin[0].detach().cpu().double().tolist(),
                "scale": float(window.scale[0]), "size": window.size,
            },
            "landmarks7": result.landmarks7_in(space).tolist(),
            "landmarks7_names": list(LANDMARK7_NAMES),
            "landmarks7_convention": "points on the surface of this mesh, mm, in its own coordinates; right is the "
            "person's right; MediaPipe 33, 133, 362, 263, 2, 61, 291",
            "parameters": parameters,
            "expression": dict(zip(model.expression_names, parameters["expression"], strict=True)),
            "photo": {"path": result.photo_path, "width": width, "height": height},
            "model": {
                "name": model.name, "version": model.version, "license": model.license, "checksum": model.checksum,
                "sizes": model.sizes,
            },
            "seed": result.seed,
            "config": result.config,
            "versions": dict(result.versions),
        }
    )  # fmt: skip


def finite(value):
    """JSON has no NaN; a reader gets null."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value


def reproject(document: dict, verts: np.ndarray) -> np.ndarray:
    """Where the mesh lies in the photo, from its JSON and its vertices alone.

    Args:
        document: the parsed `<stem>.json`.
        verts: (N, 3) points in the mesh's own coordinates (the OBJ's `v` lines), mm.
    Returns:
        (N, 2) pixels of the original photo: x right, y down, pixel centres at +0.5. Points behind the camera are NaN.
    Example:
        >>> pixels = reproject(json.loads(Path("mesh.json").read_text()), trimesh.load("mesh.obj").vertices)
    """
    camera = document["camera"]
    points = np.asarray(verts, np.float64) @ np.asarray(camera["R"]).T + np.asarray(camera["t"])
    depth = np.where(points[:, 2] < 0, -points[:, 2], np.nan)
    return np.stack(
        [camera["cx"] + camera["fx"] * points[:, 0] / depth, camera["cy"] - camera["fy"] * points[:, 1] / depth], -1
    )


def load_parameters(path: Path) -> tuple[Parameters, Camera]:
    """Read back what was fitted: (Parameters, Camera) with B = 1, float32, equal to those that were written.

    Raises:
        ValueError: not a file that `write_result` wrote.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {document['format']!r} {document['format_version']!r}")
        stored, camera = document["parameters"], document["camera"]
        tensors = {k: torch.tensor(v, dtype=torch.float32)[None] for k, v in stored.items()}
        if "joints" in tensors:  # a model without joints: a list of nothing does not tell its shape
            tensors["joints"] = tensors["joints"].reshape(1, -1, 3)
        focal = torch.tensor([[camera["fx"], camera["fy"]]], dtype=torch.float32)
        centre = torch.tensor([[camera["cx"], camera["cy"]]], dtype=torch.float32)
        return Parameters(**tensors), Camera(focal, centre)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a facefit result of format {FORMAT_VERSION} ({error})") from None
