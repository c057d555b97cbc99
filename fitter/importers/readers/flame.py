"""FLAME 2020, 2023 and 2023 Open (`generic_model.pkl`, `flame2023.pkl`, `flame2023_Open.pkl`, or the same as .npz).

Units and axes: metres, x to the subject's left, y up, z out of the face. 300 components of identity and 100 of
expression per standard deviation; joints root, neck, jaw and the eyes with linear blend skinning and pose correctives.
The pickles come from Python 2 and hold chumpy arrays; they are read as data (safe_pickle).

FLAME places its joints after expression too (`J_regressor` times the face with its expression); here they follow
identity only, since an expression moves the neck, the jaw's hinge and the eyeballs' centres hardly at all.

Source: github.com/soubhiksanyal/FLAME_PyTorch, flame.py and lbs.py; Li et al. 2017, eq. 1 to 5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import ModelError
from ...files.safe_pickle import load_pickle
from ...files.untrusted import array, read_bytes, read_npz, reading, require, sha256
from ...geometry.winding import outward
from ...model.source import EYEBALL_LABELS, Joints, SourceModel

KIND = "a FLAME model (.pkl or .npz)"
MM_PER_UNIT = 1000.0
IDENTITY, EXPRESSION = 300, 100
_JOINTS = ("root", "neck", "jaw", "", "")  # the eyes, whose sides are read off their places
_NEEDED = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")


def read_flame(path: Path, texture: Path | None = None) -> SourceModel:
    """Read a FLAME model.

    Args:
        path: the .pkl as downloaded, or an .npz with the same arrays.
        texture: `FLAME_texture.npz` (mean, tex_dir, vt, ft), for texture coordinates and albedo; without it, the file
            of that name beside the model if there is one.
    Raises:
        ModelError: not such a file, or damaged; the pickle asks for code.
    """
    path = Path(path)
    with reading(path, KIND):
        data = _arrays(path)
        verts = array(data["v_template"], (None, 3), "v_template") * MM_PER_UNIT
        count = len(verts)
        directions = array(data["shapedirs"], (count, 3, IDENTITY + EXPRESSION), "shapedirs")
        components = np.ascontiguousarray(directions.transpose(2, 0, 1), np.float32) * np.float32(MM_PER_UNIT)
        joints = _joints(data, verts, components[:IDENTITY])
        eyeball = np.zeros(count, np.uint8)
        for side, name in enumerate(("right_eye", "left_eye"), 1):
            eyeball[joints.weight[:, joints.names.index(name)] > 0.5] = side
        faces = array(data["f"], (None, 3), "f").astype(np.int64)
        version, terms = _edition(path)
        provenance = {
            "source": "flame.is.tue.mpg.de",
            "paper": "Li et al. 2017, Learning a model of facial shape and expression from 4D scans",
            "sha256": sha256(read_bytes(path)),
        }
        outside = outward(verts, faces)
    if texture is None and (path.parent / "FLAME_texture.npz").is_file():
        texture = path.parent / "FLAME_texture.npz"
    skin = {}
    if texture is not None:
        skin = _texture(Path(texture), faces, count, turned=not np.array_equal(outside, faces))
        terms += "; albedo: FLAME texture space, non-commercial"
        provenance["texture_sha256"] = sha256(Path(texture).read_bytes())
    with reading(path, KIND):
        return SourceModel(
            name="FLAME",
            version=version,
            license=terms,
            provenance=provenance,
            verts=verts,
            faces=outside,
            identity_basis=components[:IDENTITY],
            expression_basis=components[IDENTITY:],
            expression_names=tuple(f"expression{k:02d}" for k in range(EXPRESSION)),
            activation=False,
            joints=joints,
            eyeball=eyeball,
            label_hint=EYEBALL_LABELS[eyeball],
            **skin,
        )


def _arrays(path: Path) -> dict:
    if path.suffix.lower() == ".npz":
        return read_npz(path, _NEEDED)
    data = load_pickle(path)
    if not isinstance(data, dict):
        raise ModelError(f"holds a {type(data).__name__}; expected a dict of arrays")
    require((name for name in data if isinstance(name, str)), _NEEDED)
    return data


def _joints(data: dict, verts: np.ndarray, identity: np.ndarray) -> Joints:
    count, joints = len(verts), len(_JOINTS)
    regressor = data["J_regressor"]
    if getattr(regressor, "shape", None) != (joints, count):
        raise ModelError(f"J_regressor has shape {getattr(regressor, 'shape', None)}; expected ({joints}, {count})")
    regressor = array(
        regressor.toarray() if hasattr(regressor, "toarray") else regressor, (joints, count), "J_regressor"
    )
    position = regressor @ verts
    parent = array(data["kintree_table"], (2, joints), "kintree_table")[0].astype(np.int64)
    parent[0] = -1  # stored as 2^32 - 1
    left, right = (3, 4) if position[3, 0] > position[4, 0] else (4, 3)
    names = list(_JOINTS)
    names[left], names[right] = "left_eye", "right_eye"
    correctives = array(data["posedirs"], (count, 3, 9 * (joints - 1)), "posedirs")
    return Joints(
        names=tuple(names),
        parent=parent,
        position=position,
        position_basis=np.einsum("jv,ivk->ijk", regressor.astype(np.float32), identity),
        weight=array(data["weights"], (count, joints), "weights"),
        pose_basis=np.ascontiguousarray(correctives.transpose(2, 0, 1), np.float32) * np.float32(MM_PER_UNIT),
    )


def _edition(path: Path) -> tuple[str, str]:
    """Version and terms; the file itself does not say, its name does. In doubt the stricter terms hold."""
    name = path.stem.lower()
    if "open" in name:
        return "2023 Open", "CC-BY-4.0"
    version = "2023" if "2023" in name else "2020"
    return version, "FLAME model licence (non-commercial scientific research)"


def _texture(path: Path, faces: np.ndarray, count: int, turned: bool) -> dict:
    """Texture coordinates and per-vertex albedo of FLAME's texture space: BGR pictures of 0 to 255, per std."""
    kind = "FLAME_texture.npz"
    with reading(path, kind):
        data = read_npz(path, ("mean", "tex_dir", "vt", "ft"))
        uv = array(data["vt"], (None, 2), "vt").astype(np.float64)
        uv_faces = array(data["ft"], (len(faces), 3), "ft").astype(np.int64)
        if uv_faces.size and (uv_faces.min() < 0 or uv_faces.max() >= len(uv)):
            raise ModelError(f"ft runs from {uv_faces.min()} to {uv_faces.max()}; accepted: 0 to {len(uv) - 1}")
        mean = array(data["mean"], (None, None, 3), "mean")
        height, width = mean.shape[:2]
        spread = array(data["tex_dir"], (height, width, 3, None), "tex_dir")
        at = np.zeros((count, 2))
        at[faces.ravel()] = uv[uv_faces.ravel()]
        row = np.clip(np.rint((1 - at[:, 1]) * (height - 1)), 0, height - 1).astype(int)
        column = np.clip(np.rint(at[:, 0] * (width - 1)), 0, width - 1).astype(int)
        return {
            "uv": uv,
            "uv_faces": uv_faces[:, ::-1] if turned else uv_faces,
            "albedo_mean": np.clip(mean[row, column, ::-1] / 255.0, 0, 1),
            "albedo_basis": spread[row, column, ::-1].transpose(2, 0, 1) / 255.0,
        }
