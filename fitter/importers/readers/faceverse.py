"""FaceVerse of Tsinghua University, version 1 to 4 (`faceverse_simple_v2.npy`, `faceverse_v3_6_s.npy`, ...): an .npy
that holds one pickled dict, read as data (safe_pickle), or an .npz of the same arrays.

The versions differ in unit (decimetres, millimetres) and in axes (version 2 has y down and z into the head, version 3 y
up and z out), and the files say neither. Both are read off the model's own landmarks: the eyes' outer corners are 90 mm
apart (Farkas 1994: men 91, women 88), the chin is below them and the nose in front.

Identity and albedo are orthogonal components, taken as per standard deviation as FaceVerse's own fitting does; 52
expressions are activations with Apple's names, older sets of 64 or 74 are components. Colours run from 0 to 255.

Source: github.com/LizhenWangT/FaceVerse, model/FaceVerseModel.py, faceversev3_jittor/faceverse_cuda.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...anatomy.landmarks import CHIN, LEFT_OUTER_CORNER, NOSE_TIP, RIGHT_OUTER_CORNER
from ...errors import ModelError
from ...files.safe_pickle import load_object_npy
from ...files.untrusted import array, basis, read_bytes, read_npz, reading, require, sha256
from ...geometry.winding import outward
from ...model.source import EYEBALL_LABELS, SourceModel

KIND = "a FaceVerse model (.npy or .npz)"
OUTER_EYE_CORNERS_MM = 90.0
BLENDSHAPES = 52  # as many as Apple defines

# Landmarks of the two sets that the versions carry: right and left outer eye corner, chin, nose tip.
_LANDMARKS = {
    "mediapipe_keypoints": (RIGHT_OUTER_CORNER, LEFT_OUTER_CORNER, CHIN, NOSE_TIP),
    "keypoints": (36, 45, 8, 30),
}
_NEEDED = ("meanshape", "idBase", "meantex", "texBase", "tri")
_OPTIONAL = (
    "exBase_52", "exBase", "exp_name_list_52", "exp_name_list", "mediapipe_keypoints", "keypoints", "ver_inds",
)  # fmt: skip


def read_faceverse(path: Path) -> SourceModel:
    """Read a FaceVerse model.

    Raises:
        ModelError: not such a file, or damaged; the pickle asks for code.
    """
    path = Path(path)
    with reading(path, KIND):
        data = _arrays(path)
        raw = np.asarray(data["meanshape"], np.float64).reshape(-1, 3)
        count = len(raw)
        frame = _frame(data, raw)  # (3,): factor of each axis
        verts = raw * frame
        name = next((n for n in ("exBase_52", "exBase") if n in data), None)
        expression = np.zeros((0, count, 3), np.float32) if name is None else basis(data[name], count, name) * frame
        names = _names(data, len(expression))
        eyeball = _eyeballs(data, verts)
        return SourceModel(
            name="FaceVerse",
            version=_version(path, data),
            license="FaceVerse licence (BSD-style code; model for research, see its publisher)",
            provenance={
                "source": "github.com/LizhenWangT/FaceVerse",
                "paper": "Wang et al. 2022, FaceVerse: a Fine-grained and Detail-controllable 3D Face Morphable Model",
                "axis_factors": [float(factor) for factor in frame],
                "sha256": sha256(read_bytes(path)),
            },
            verts=verts,
            faces=outward(verts, array(data["tri"], (None, 3), "tri").astype(np.int64)),
            identity_basis=basis(data["idBase"], count, "idBase") * frame.astype(np.float32),
            expression_basis=expression.astype(np.float32),
            expression_names=names,
            activation=len(expression) == BLENDSHAPES,
            albedo_mean=np.clip(np.asarray(data["meantex"], np.float64).reshape(-1, 3) / 255.0, 0, 1),
            albedo_basis=basis(data["texBase"], count, "texBase", 1 / 255.0),
            eyeball=eyeball,
            label_hint=None if eyeball is None else EYEBALL_LABELS[eyeball],
        )


def _arrays(path: Path) -> Mapping[str, object]:
    if path.suffix.lower() == ".npz":
        return read_npz(path, _NEEDED, _OPTIONAL)
    data = load_object_npy(path)
    if not isinstance(data, dict):
        raise ModelError(f"holds a {type(data).__name__}; expected a dict of arrays")
    require((name for name in data if isinstance(name, str)), _NEEDED)
    return data


def _frame(data: Mapping[str, object], verts: np.ndarray) -> np.ndarray:
    """(3,) signed factors that turn the file's x, y, z into mm to the subject's left, up and out of the face."""
    sets = {name: chosen for name, chosen in _LANDMARKS.items() if name in data}
    if not sets:
        raise ModelError(f"lacks {' and '.join(_LANDMARKS)}, which tell its unit and axes")
    name, chosen = next(iter(sets.items()))
    index = np.asarray(data[name]).ravel()
    if len(index) <= max(chosen) or index.min() < 0 or index.max() >= len(verts):
        raise ModelError(f"{name} has {len(index)} landmarks that do not fit the {len(verts)} vertices")
    right, left, chin, nose = verts[index[list(chosen)].astype(np.int64)]
    apart = float(np.linalg.norm(left - right))
    if not apart > 0:
        raise ModelError(f"{name}: the eyes' corners coincide")
    unit = 10.0 ** np.round(np.log10(OUTER_EYE_CORNERS_MM / apart))
    middle = (right + left) / 2
    return unit * np.where([left[0] < right[0], chin[1] > middle[1], nose[2] < middle[2]], -1.0, 1.0)


def _names(data: Mapping[str, object], count: int) -> tuple[str, ...]:
    for name in (f"exp_name_list_{BLENDSHAPES}", "exp_name_list"):
        found = [str(item) for item in np.asarray(data.get(name, ())).ravel()]
        if len(found) == count and len(set(found)) == count:
            return tuple(found)
    return tuple(f"expression{k:02d}" for k in range(count))


def _eyeballs(data: Mapping[str, object], verts: np.ndarray) -> np.ndarray | None:
    """Version 3 on: the second and third stretch of vertices are the eyeballs; which is which, their places say."""
    ends = np.asarray(data.get("ver_inds", ()), np.int64).ravel()
    if len(ends) < 3:
        return None
    if not 0 < ends[0] < ends[1] < ends[2] <= len(verts):
        raise ModelError(f"ver_inds {ends[:3].tolist()} does not fit the {len(verts)} vertices")
    out = np.zeros(len(verts), np.uint8)
    for start, end in zip(ends[:2], ends[1:3], strict=True):
        out[start:end] = 2 if verts[start:end, 0].mean() > verts[: ends[0], 0].mean() else 1
    return out


def _version(path: Path, data: Mapping[str, object]) -> str:
    for number in "1234":
        if f"v{number}" in path.stem.lower():
            return number
    return "3" if "ver_inds" in data else "2"
