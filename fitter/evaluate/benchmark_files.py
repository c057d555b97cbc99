"""Folders of fits in the form that public benchmarks read: NoW and REALY. docs/evaluation.md has the steps."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..anatomy.landmarks import IBUG68, MIRROR
from ..anatomy.parts import LABEL
from ..errors import InputError
from ..files.mesh_bytes import plain_obj
from ..files.outputs import check_clashes, write_files
from ..geometry.closest_point import ClosestPoint
from ..geometry.triangles import triangle_weights
from ..model.face_model import FaceModel
from ..output.read_back import FitFile, load_scene
from ..scene.scene import Scene

# REALY's 85 points (Chai et al. 2022) are iBug's 68 and 17 on cheeks and chin, here as blends of MediaPipe's landmarks:
# those that come closest to the points of the templates published with the benchmark (HIFI3D, FLAME), laid over the
# mean face. The benchmark has the inner mouth corners (60, 64) on the lips. Right half; the left is its mirror image.
_REALY_RIGHT = {
    60: ((62, 0.5), (76, 0.5)), 68: ((118, 0.8), (144, 0.2)), 70: ((36, 0.84), (142, 0.05), (235, 0.11)),
    72: ((214, 0.47), (207, 0.53)), 74: ((116, 0.62), (143, 0.33), (34, 0.05)),
    76: ((123, 0.47), (187, 0.28), (50, 0.25)), 78: ((32, 0.34), (201, 0.39), (170, 0.27)),
    81: ((123, 0.56), (137, 0.12), (234, 0.32)), 83: ((215, 0.52), (147, 0.44), (177, 0.04)),
}  # fmt: skip

_REALY_LEFT = {60: 64, 68: 69, 70: 71, 72: 73, 74: 75, 76: 77, 78: 80, 81: 82, 83: 84}

_REALY_MIDDLE = {79: ((200, 1.0),)}

# What of the mesh REALY may compare: the face without eyeballs, mouth, ears and back.
_REALY_PARTS = ("skin", "nose", "right_brow", "left_brow", "upper_lip", "lower_lip")


def _neutral(scene: Scene) -> Scene:
    value = scene.parameters
    rest = replace(value, expression=torch.zeros_like(value.expression), gaze=torch.zeros_like(value.gaze))
    return replace(scene, parameters=rest)


def export_now(
    fits: Sequence[FitFile],
    model: FaceModel,
    output: Path,
    *,
    expression: bool = False,
    wanted: Iterable[str] = (),
    inputs: Iterable[Path] = (),
) -> tuple[list[Path], list[str]]:
    """Write `output`/SUBJECT/CHALLENGE/IMAGE.obj and .npy for every fit, named as the fits are.

    The mesh is in mm; the .npy holds its seven landmarks, float (7, 3), in the order the benchmark asks for. The scans
    are of neutral faces, so the expression is set to zero unless `expression`.

    Args:
        wanted: lines of the benchmark's image list, .../SUBJECT/CHALLENGE/IMAGE.jpg.
        inputs: files that must not be overwritten, besides those of the fits.
    Returns:
        the meshes written, and those of `wanted` that no fit belongs to.
    Raises:
        InputError: a fit whose name has no SUBJECT/CHALLENGE/, or of another face model.
    """
    faces = model.faces.numpy()
    paths = []
    for fit in fits:
        place = Path(fit.name)
        if len(place.parts) < 3:
            raise InputError(
                f"{fit.path}: named {fit.name!r}; expected SUBJECT/CHALLENGE/IMAGE below the folder, as "
                "`facefit batch` on the benchmark's folder of photos gives"
            )
        paths.append(output.joinpath(*place.parts[-3:]).with_suffix(".obj"))
    both = [each for path in paths for each in (path, path.with_suffix(".npy"))]
    check_clashes(both, [*inputs, *(path for fit in fits for path in fit.files())])
    for fit, path in zip(fits, paths, strict=True):
        scene = load_scene(fit, model)
        scene = scene if expression else _neutral(scene)
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        np.save(stream, scene.landmarks7_in("model"))
        write_files({path: plain_obj(scene.verts_in("model"), faces), path.with_suffix(".npy"): stream.getvalue()})
    have = {path.relative_to(output).with_suffix("").as_posix() for path in paths}
    lines = (line.strip() for line in wanted)
    names = ("/".join(Path(line).with_suffix("").parts[-3:]) for line in lines if line)
    return paths, [name for name in names if name not in have]


def export_realy(
    fits: Sequence[FitFile], model: FaceModel, output: Path, topology: str = "facefit", inputs: Iterable[Path] = ()
) -> tuple[list[Path], Path]:
    """Write `output`/prediction/IMAGE.obj for every fit, and beside them what the benchmark wants to know of the mesh.

    `output`/data/TOPOLOGY.obj is the mean face, TOPOLOGY.txt its 85 keypoints (JSON rows: triangle, first and second
    barycentric weight), TOPOLOGY_mask.txt a 0 or 1 per vertex, 1 on the face.

    Returns:
        the meshes written, and the folder of the template.
    Raises:
        InputError: a photo whose name is no number as the benchmark's are (1, 1_2), or two of one name.
    """
    prediction, data = output / "prediction", output / "data"
    faces = model.faces.numpy()
    paths: dict[Path, FitFile] = {}
    for fit in fits:
        stem = fit.photo.stem if fit.photo is not None else fit.path.stem
        if not stem.replace("_", "").isdecimal():
            raise InputError(f"{fit.path}: photo {stem!r}; the benchmark sorts by number and expects names as 1 or 1_2")
        path = prediction / f"{stem}.obj"
        if path in paths:
            raise InputError(f"{fit.path}: photo {stem!r} has another fit, {paths[path].path}")
        paths[path] = fit
    template = [data / f"{topology}{end}" for end in (".obj", ".txt", "_mask.txt")]
    check_clashes([*template, *paths], [*inputs, *(path for fit in fits for path in fit.files())])
    prediction.mkdir(parents=True, exist_ok=True)
    data.mkdir(parents=True, exist_ok=True)
    face, bary = realy_keypoints(model)
    rows = [[int(f), float(a), float(b)] for f, (a, b, _) in zip(face, bary, strict=True)]
    mask = np.isin(model.vertex_label.numpy(), [LABEL[name] for name in _REALY_PARTS]).astype(int)
    write_files(
        {
            data / f"{topology}.obj": plain_obj(model.verts.numpy(), faces),
            data / f"{topology}.txt": json.dumps(rows).encode(),
            data / f"{topology}_mask.txt": ("\n".join(map(str, mask.tolist())) + "\n").encode(),
        }
    )
    for path, fit in paths.items():
        write_files({path: plain_obj(load_scene(fit, model).verts_in("model"), faces)})
    return list(paths), data


def realy_keypoints(model: FaceModel) -> tuple[np.ndarray, np.ndarray]:
    """REALY's 85 keypoints on a model: (85,) triangle and (85, 3) barycentric weights on the mean face."""
    landmarks = model.landmarks(model.verts[None])[0].double().numpy()
    points = np.zeros((85, 3))
    points[:68] = landmarks[list(IBUG68)]
    blends = {**_REALY_RIGHT, **_REALY_MIDDLE}
    blends |= {
        _REALY_LEFT[k]: tuple((int(MIRROR[number]), share) for number, share in blend)
        for k, blend in _REALY_RIGHT.items()
    }
    for k, blend in blends.items():
        points[k] = sum(share * landmarks[number] for number, share in blend)
    verts, faces = model.verts.double().numpy(), model.faces.numpy()
    outside = np.flatnonzero(np.isin(model.vertex_label.numpy()[faces], (LABEL["mouth_inside"],)).all(1) == 0)
    _, closest, at = ClosestPoint(verts, faces[outside])(points)
    face = outside[at]
    return face, triangle_weights(closest, verts[faces[face]])
