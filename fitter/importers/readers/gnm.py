"""GNM Head v3 of Google (`gnm_head.npz`): 17,821 vertices, 253 identity and 383 expression components, 4 joints.

Units and axes: metres, x to the subject's left, y up, z out of the face. Components are per standard deviation. The
joints are neck, head and the two eyes; the whole head hangs on `neck`, so its turn is the pose of the head itself and
the joint that bends the neck is the one named `head`. The pose correctives of the first joint's turn are left out:
the pose of a photo's face is the camera's, and must not bend the face.

Texture coordinates are given per triangle and region, all regions over the same unit square; here each region gets its
own cell of one picture. The cornea covers sclera and iris; both are labelled eye.

Source: github.com/google/GNM, gnm/shape/gnm_data_schema.py (fields), gnm_common.py (formula).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...anatomy.parts import LABEL
from ...errors import ModelError
from ...files.untrusted import array, read_bytes, read_npz, reading, sha256
from ...geometry.winding import outward
from ...model.source import Joints, SourceModel, eyeballs

KIND = "GNM Head v3 (gnm_head.npz)"
MM_PER_UNIT = 1000.0
_JOINTS = {"neck": "root", "head": "neck", "left_eye": "left_eye", "right_eye": "right_eye"}
_NEEDED = (
    "version", "variant", "template_vertex_positions", "vertex_identity_basis", "expression_basis", "expression_names",
    "triangles", "template_joint_positions", "joint_identity_basis", "joint_names", "joint_parent_indices",
    "skinning_weights", "vertex_groups", "vertex_group_names",
)  # fmt: skip
_OPTIONAL = ("triangle_uvs", "pose_correctives_regressor")

# Their groups of vertices, and the parts that those are.
_PARTS = {
    "upper_teeth_and_gums": "mouth_inside", "lower_teeth_and_gums": "mouth_inside", "tongue": "mouth_inside",
    "right_eye": "right_eye", "left_eye": "left_eye",
}  # fmt: skip
# The skin gets nine sixteenths of the picture, each other region one: (left, bottom, side).
_CELLS = {
    "skin": (0.0, 0.25, 0.75), "upper_teeth_and_gums": (0.75, 0.75, 0.25), "lower_teeth_and_gums": (0.75, 0.5, 0.25),
    "tongue": (0.75, 0.25, 0.25), "left_eye": (0.75, 0.0, 0.25), "right_eye": (0.5, 0.0, 0.25),
}  # fmt: skip
_CORNEA_CELLS = {"left_eye": (0.25, 0.0, 0.25), "right_eye": (0.0, 0.0, 0.25)}
_CELL_MARGIN = 0.004


def read_gnm(path: Path) -> SourceModel:
    """Read `gnm_head.npz`.

    Raises:
        ModelError: not that file, another major version, or damaged.
    """
    path = Path(path)
    with reading(path, KIND):
        data = read_npz(path, _NEEDED, _OPTIONAL)
        version, variant = str(data["version"]), str(data["variant"])
        if version.split(".")[0] != "3" or variant != "head":
            raise ModelError(f"version {version!r:.20}, variant {variant!r:.20}; accepted: version 3.x, variant head")
        verts = array(data["template_vertex_positions"], (None, 3), "template_vertex_positions") * MM_PER_UNIT
        count = len(verts)
        identity = array(data["vertex_identity_basis"], (None, count, 3), "vertex_identity_basis")
        expression = array(data["expression_basis"], (None, count, 3), "expression_basis")
        groups = _groups(data, count)
        hint = np.zeros(count, np.uint8)
        for name, part in _PARTS.items():
            hint[groups.get(name, np.zeros(count)) > 0.5] = LABEL[part]
        faces = outward(verts, array(data["triangles"], (None, 3), "triangles").astype(np.int64))
        uv, uv_faces = _atlas(data, faces, groups)
        return SourceModel(
            name="GNM Head",
            version=version,
            license="Apache-2.0",
            provenance={
                "source": "github.com/google/GNM, huggingface.co/google/gnm-v3",
                "paper": "Ploumpis et al. 2026, GNM Head: A Generative aNthropometric Model of the human head",
                "sha256": sha256(read_bytes(path)),
            },
            verts=verts,
            faces=faces,
            identity_basis=identity * np.float32(MM_PER_UNIT),
            expression_basis=expression * np.float32(MM_PER_UNIT),
            expression_names=tuple(str(name) for name in data["expression_names"]),
            activation=False,
            uv=uv,
            uv_faces=uv_faces,
            joints=_joints(data, count),
            eyeball=eyeballs(hint),
            label_hint=hint,
        )


def _groups(data: dict, count: int) -> dict[str, np.ndarray]:
    names = [str(name) for name in data["vertex_group_names"]]
    weight = array(data["vertex_groups"], (len(names), count), "vertex_groups")
    return dict(zip(names, weight, strict=True))


def _joints(data: dict, count: int) -> Joints:
    original = [str(name) for name in data["joint_names"]]
    joints = len(original)
    parent = array(data["joint_parent_indices"], (joints,), "joint_parent_indices").astype(np.int64)
    parent[0] = -1  # the first joint is stored as its own parent
    correctives = data.get("pose_correctives_regressor")
    if correctives is not None and correctives.size:
        correctives = array(correctives, (9 * joints, 3 * count), "pose_correctives_regressor")
        correctives = correctives[9:].reshape(-1, count, 3) * np.float32(MM_PER_UNIT)
    return Joints(
        names=tuple(_JOINTS.get(name, "other") for name in original),
        parent=parent,
        position=array(data["template_joint_positions"], (joints, 3), "template_joint_positions") * MM_PER_UNIT,
        position_basis=array(data["joint_identity_basis"], (None, joints, 3), "joint_identity_basis") * MM_PER_UNIT,
        weight=array(data["skinning_weights"], (joints, count), "skinning_weights").T,
        pose_basis=correctives if correctives is not None and correctives.size else None,
    )


def _atlas(data: dict, faces: np.ndarray, groups: dict) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(3 F, 2) texture coordinates, corner by corner, and their (F, 3) indices; None where the file has none."""
    corners = data.get("triangle_uvs")
    if corners is None or "skin" not in groups:
        return None, None
    corners = array(corners, (len(faces), 3, 2), "triangle_uvs")
    if not np.array_equal(faces, data["triangles"]):
        corners = corners[:, ::-1]
    names = [name for name in _CELLS if name in groups]
    owner = np.argmax([groups[name][faces].mean(1) for name in names], 0)
    cell = np.array([_CELLS[name] for name in names])[owner]
    outer = groups.get("eye_exteriors")
    for name, place in _CORNEA_CELLS.items():
        if outer is not None and name in names:
            cell[(owner == names.index(name)) & (outer[faces].mean(1) > 0.5)] = place
    side = cell[:, None, 2:] - 2 * _CELL_MARGIN
    placed = cell[:, None, :2] + _CELL_MARGIN + np.clip(corners, 0, 1) * side
    return placed.reshape(-1, 2), np.arange(3 * len(faces)).reshape(-1, 3)
