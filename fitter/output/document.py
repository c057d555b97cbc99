"""The JSON of a result, written and read."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch

from ..anatomy.landmarks import LANDMARK7_NAMES
from ..errors import InputError
from ..fit.result import FitResult
from ..fit.summary import model_block
from ..geometry.camera import Camera
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from .placing import Placing, placing
from .result_format import FORMAT, FORMAT_VERSION, read_result

_CONVENTION = (
    "X_camera = R X_mesh + t (in mesh.units; camera looks along -z, x right, y up); u = cx + fx x / -z, "
    "v = cy - fy y / -z; photo pixels of the upright photo, v down, the centre of the top left pixel is (0.5, 0.5); "
    "R is row-major"
)

_OPENCV_CONVENTION = "x_opencv = R X_mesh + t (x right, y down, z forward); u = fx x / z + cx, v = fy y / z + cy"


def result_json(
    result: FitResult, mesh_file: str, *, space: str = "model", texture: int = 0, place: Placing | None = None
) -> dict:
    """The JSON document of facefit.output.write. Numbers that are not finite become null.

    Args:
        texture: its side in pixels. place: of the mesh's numbers; None: that of `mesh_file`, in mm.
    """
    place = place or placing(Path(mesh_file), space)
    window, (width, height) = result.window, result.photo_size
    return finite(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **mesh_json(result.scene, mesh_file, result.photo_size, space, place, texture),
            "status": result.status,
            "landmark_error": result.landmark_error,
            "landmark_error_unit": "fraction of the distance between the outer eye corners",
            "part_iou": dict(result.part_iou),
            "energies": dict(result.energies),
            "seconds": dict(result.seconds),
            "window": {
                "origin": window.origin[0].detach().cpu().double().tolist(),
                "scale": float(window.scale[0]), "size": window.size,
            },
            "photo": {"path": result.photo_path, "width": width, "height": height},
            "config": result.config,
            "versions": dict(result.versions),
        }
    )  # fmt: skip


def mesh_json(scene: Scene, mesh_file: str, size: tuple[int, int], space: str, place: Placing, texture: int) -> dict:
    """What a result's JSON says of the face in its mesh: model, parameters, camera, landmarks.

    Args:
        size: width and height of the photo. space, place: of the mesh. texture: its side in pixels.
    """
    model = scene.model
    parameters = {k: v[0].detach().cpu().double().tolist() for k, v in scene.parameters.tensors().items()}
    return {
        "mesh": {
            "file": mesh_file, "space": space, "units": place.unit, "up": place.up,
            "vertices": model.verts.shape[0], "faces": model.faces.shape[0], "texture_size": texture,
        },
        "camera": camera_json(scene, size, space, place),
        "landmarks7": place(scene.landmarks7_in(space)).tolist(),
        "landmarks7_names": list(LANDMARK7_NAMES),
        "landmarks7_convention": "points on the surface of this mesh in its own coordinates; right is the "
        "person's right; MediaPipe 33, 133, 362, 263, 2, 61, 291",
        "parameters": parameters,
        "expression": dict(zip(model.expression_names, parameters["expression"], strict=True)),
        "model": model_block(model),
    }  # fmt: skip


def camera_json(scene: Scene, size: tuple[int, int], space: str, place: Placing) -> dict:
    """The camera of a photo for the points of a mesh file, as JSON types.

    Args:
        scene: the face before the camera. size: width and height of the photo.
        space, place: of the mesh.
    """
    fx, fy = scene.camera.focal[0].detach().cpu().double().tolist()
    cx, cy = scene.camera.centre[0].detach().cpu().double().tolist()
    rotation, translation = scene.pose() if space == "model" else (np.eye(3), np.zeros(3))
    rotation, translation = rotation @ place.axes.T, place.scale * translation
    flip = np.diag([1.0, -1.0, -1.0])
    return {
        "fx": fx, "fy": fy, "cx": cx, "cy": cy, "width": size[0], "height": size[1],
        "R": rotation.tolist(), "t": translation.tolist(), "convention": _CONVENTION,
        "opencv": {
            "K": [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], "R": (flip @ rotation).tolist(),
            "t": (flip @ translation).tolist(), "convention": _OPENCV_CONVENTION,
        },
    }  # fmt: skip


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
        verts: (N, 3) points in the mesh's own coordinates (the OBJ's `v` lines; of a GLB, 1000 times its metres).
    Returns:
        (N, 2) pixels of the original photo: x right, y down, pixel centres at +0.5. Points behind the camera are NaN.
    Example:
        >>> pixels = reproject(json.loads(Path("mesh.json").read_text()), trimesh.load_mesh("mesh.obj").vertices)
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
        found = read_result(Path(path))
    except InputError as error:
        raise ValueError(str(error)) from None
    if found is None:
        raise ValueError(f"{path}: not a facefit result of format {FORMAT_VERSION}")
    stored, camera = found[1].parameters, found[1].camera
    tensors = {f.name: torch.tensor(getattr(stored, f.name), dtype=torch.float32)[None] for f in fields(stored)}
    tensors["joints"] = tensors["joints"].reshape(1, -1, 3)  # a model without joints: a list of nothing has no shape
    lens = torch.tensor([[camera.fx, camera.fy]]), torch.tensor([[camera.cx, camera.cy]])
    for name, value in (*tensors.items(), ("camera", torch.cat(lens))):
        if not value.isfinite().all():
            raise ValueError(f"{path}: damaged result: {name}: a number beyond single precision")
    return Parameters(**tensors), Camera(*lens)
