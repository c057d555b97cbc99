"""Does a set of arrays keep to the model file's table (facefit.model.face_model)? Kinds, shapes, finiteness, ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..anatomy.parts import PART_LABELS
from .decoder import CODES
from .source import JOINT_NAMES

# Array: kind, shape. A letter stands for the same number wherever it occurs; the first array with it says which.
_TABLE: dict[str, tuple[str, tuple]] = {
    "format": ("whole", ()), "name": ("text", ()), "version": ("text", ()), "license": ("text", ()),
    "provenance": ("text", ()), "expression_kind": ("text", ()),
    "verts": ("real", ("C", 3)), "upsample_index": ("whole", ("V", "k")), "upsample_weight": ("real", ("V", "k")),
    "identity_basis": ("real", ("I", "C", 3)), "expression_basis": ("real", ("E", "C", 3)),
    "expression_names": ("text", ("E",)), "albedo_mean": ("real", ("C", 3)), "albedo_basis": ("real", ("A", "C", 3)),
    "faces": ("whole", ("F", 3)), "uv": ("real", ("T", 2)), "uv_faces": ("whole", ("F", 3)),
    "symmetry": ("whole", ("V",)), "vertex_label": ("whole", ("V",)), "part_weight": ("whole", ("V", PART_LABELS)),
    "eyeball": ("whole", ("V",)), "landmark_faces": ("whole", ("L",)), "landmark_bary": ("real", ("L", 3)),
    "landmark_yaw": ("real", ("Y",)), "landmark_bias": ("real", ("Y", "L", 2)),
    "landmark_covariance": ("real", ("Y", "L", 2, 2)), "contour_rows": ("whole", ("R", "K")),
    "contour_landmarks": ("whole", ("R",)), "eyeball_weight": ("real", ("V",)),
    "joint_names": ("text", ("J",)), "joint_parent": ("whole", ("J",)), "joint_position": ("real", ("J", 3)),
    "joint_position_basis": ("real", ("I", "J", 3)), "joint_weight": ("real", ("V", "J")),
    "joint_pose_basis": ("real", ("P", "C", 3)),
    "dense_faces": ("whole", ("S",)), "dense_bary": ("real", ("S", 3)),
    "corrective_basis": ("real", ("N", "C", 3)), "corrective_expression": ("whole", ("N",)),
    "corrective_identity": ("real", ("N", "I")),
    "decoder_network": ("bytes", ("B",)), "decoder_frame": ("real", (3, 3)),
    "decoder_identity_mean": ("real", ("M",)), "decoder_identity_root": ("real", ("I", "M")),
    "decoder_expression_mean": ("real", ("X",)), "decoder_expression_root": ("real", ("E", "X")),
    "decoder_albedo_mean": ("real", ("D",)), "decoder_albedo_root": ("real", ("A", "D")),
}  # fmt: skip
_JOINTS = ("joint_names", "joint_parent", "joint_position", "joint_position_basis", "joint_weight")  # all or none
_CORRECTIVES = ("corrective_basis", "corrective_expression", "corrective_identity")  # all or none
_DECODER = ("decoder_network", "decoder_frame")  # all or none
_DENSE = ("dense_faces", "dense_bary")  # all or none
_PRIORS = tuple((f"decoder_{code}_mean", f"decoder_{code}_root") for code in CODES)  # each: both or neither
_ALONE = ("upsample_index", "upsample_weight", "part_weight", "eyeball_weight", "joint_pose_basis")
_OPTIONAL = (*_ALONE, *_JOINTS, *_CORRECTIVES, *_DECODER, *_DENSE, *(name for pair in _PRIORS for name in pair))
_KINDS = {
    "whole": ("iu", "whole numbers"), "real": ("fiu", "numbers"), "text": ("U", "text"), "bytes": ("u", "bytes"),
}  # fmt: skip
_NEVER_EMPTY = {"C": "vertices", "V": "vertices", "F": "triangles", "T": "texture coordinates", "L": "landmarks"}
# Array: least value, and what all values lie below.
_RANGES: dict[str, tuple[int, str | int]] = {
    "upsample_index": (0, "C"), "faces": (0, "V"), "uv_faces": (0, "T"), "symmetry": (0, "V"),
    "vertex_label": (0, PART_LABELS), "part_weight": (0, 256), "eyeball": (0, 3), "landmark_faces": (0, "F"),
    "contour_rows": (-1, "V"), "contour_landmarks": (0, "L"), "joint_parent": (-1, "J"),
    "corrective_expression": (0, "E"), "dense_faces": (-1, "F"),
}  # fmt: skip


class Described(Protocol):
    """An array, or what is known of one before it is read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers."""
        ...

    @property
    def ndim(self) -> int:
        """Number of axes."""
        ...


LARGEST_VALUE = 1e6  # mm, or whatever an array holds; with larger ones single precision breaks down in a fit
ARRAYS = tuple(_TABLE)  # what a model file may hold; whatever else lies in it is not read


def dense_bytes(arrays: Mapping[str, Described]) -> int:
    """Of the arrays as they are used: float32, at every vertex. To be asked after `layout_error`."""
    vertices = arrays["symmetry"].shape[0]
    total = 0
    for name, (kind, shape) in _TABLE.items():
        if name in arrays:
            axes = [vertices if letter == "C" else n for letter, n in zip(shape, arrays[name].shape, strict=True)]
            # text counts as it is stored, a network as if it were of 16 bits; whole numbers are used as int64
            total += math.prod(axes) * {"real": 4, "whole": 8, "bytes": 2, "text": arrays[name].dtype.itemsize}[kind]
    return total


def layout_error(arrays: Mapping[str, Described]) -> str | None:
    """What is wrong with names, kinds and shapes, naming the first array that does not fit; None where all is well."""
    return _layout(arrays)[0]


def table_error(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays (shapes and types of facefit.model.face_model's table), naming the first that does
    not fit; None where all is well."""
    wrong, sizes = _layout(arrays)
    if wrong is not None:
        return wrong
    for name, (kind, _) in _TABLE.items():
        if kind == "real" and name in arrays and arrays[name].size:
            if not np.isfinite(arrays[name]).all():
                return f"{name} holds values that are not finite"
            if (peak := float(max(-arrays[name].min(), arrays[name].max()))) > LARGEST_VALUE:
                return f"{name} holds values of {peak:.3g}; accepted: up to {LARGEST_VALUE:g}"
    for name, (least, limit) in _RANGES.items():
        if name not in arrays or not arrays[name].size:
            continue
        limit = sizes[limit] if isinstance(limit, str) else limit
        if not (least <= arrays[name].min() and arrays[name].max() < limit):
            return f"{name} holds values outside [{least}, {limit})"
    if not (arrays["contour_rows"] >= 0).any(1).all():
        return "contour_rows holds rows without a vertex"
    if "joint_names" in arrays:
        wrong = _joint_error(arrays, sizes)
        if wrong is not None:
            return wrong
    return _calibration_error(arrays["landmark_yaw"], arrays["landmark_covariance"])


def _layout(arrays: Mapping[str, Described]) -> tuple[str | None, dict[str, int]]:
    """See `layout_error`; and the number that each letter of the table stands for."""
    sizes: dict[str, int] = {}
    missing = [name for name in _TABLE if name not in arrays and name not in _OPTIONAL]
    if missing:
        return f"lacks {', '.join(missing)}; see facefit.model.face_model for the format", sizes
    if ("upsample_index" in arrays) != ("upsample_weight" in arrays):
        return "has only one of upsample_index and upsample_weight", sizes
    if 0 < sum(name in arrays for name in _CORRECTIVES) < len(_CORRECTIVES):
        absent = ", ".join(name for name in _CORRECTIVES if name not in arrays)
        return f"lacks {absent} beside its other corrective arrays", sizes
    for together in (_DECODER, _DENSE, *_PRIORS):
        if 0 < sum(name in arrays for name in together) < len(together):
            return f"has only one of {together[0]} and {together[1]}", sizes
    if "decoder_network" in arrays and any(name in arrays for name in _CORRECTIVES):
        return "has correctives beside a decoder; a decoder makes what it needs itself", sizes
    if "decoder_network" not in arrays and (stray := next((a for pair in _PRIORS for a in pair if a in arrays), None)):
        return f"has {stray} without decoder_network", sizes
    joints = [name for name in _JOINTS if name in arrays]
    if (joints or "joint_pose_basis" in arrays) and len(joints) < len(_JOINTS):
        absent = ", ".join(name for name in _JOINTS if name not in arrays)
        return f"lacks {absent} beside its other joint arrays", sizes
    for name, (kind, shape) in _TABLE.items():
        if name not in arrays:
            continue
        value = arrays[name]
        accepted, words = _KINDS[kind]
        if value.dtype.kind not in accepted or (kind == "bytes" and value.dtype.itemsize != 1):
            return f"{name} holds {value.dtype}; expected {words}", sizes
        if value.ndim == len(shape):
            for letter, length in zip(shape, value.shape, strict=True):
                if isinstance(letter, str):
                    sizes.setdefault(letter, length)
        expected = tuple(sizes.get(n, n) if isinstance(n, str) else n for n in shape)
        if value.shape != expected:
            return f"{name} has shape {value.shape}; expected ({', '.join(map(str, expected))})", sizes
        if name == "verts" and "upsample_index" not in arrays:
            sizes["V"] = sizes["C"]
    empty = next((what for letter, what in _NEVER_EMPTY.items() if sizes[letter] == 0), None)
    return None if empty is None else f"holds no {empty}", sizes


def _joint_error(arrays: dict[str, np.ndarray], sizes: dict[str, int]) -> str | None:
    unknown = sorted(set(arrays["joint_names"].tolist()) - set(JOINT_NAMES))
    if unknown or sizes["J"] == 0:
        return f"joint_names holds {unknown[0] if unknown else 'nothing'}; expected {', '.join(JOINT_NAMES)}"
    if not (arrays["joint_parent"] < np.arange(sizes["J"])).all():
        return "joint_parent names a joint that does not come before its child"
    if sizes.get("P", 9 * (sizes["J"] - 1)) != 9 * (sizes["J"] - 1):
        return f"joint_pose_basis has {sizes['P']} rows; expected 9 for each joint but the first"
    if np.abs(arrays["joint_weight"].astype(np.float64).sum(1) - 1).max() > 1e-2:
        return "joint_weight has rows that do not sum to 1"
    return None


def _calibration_error(yaw: np.ndarray, covariance: np.ndarray) -> str | None:
    if len(yaw) == 0 or not (np.diff(yaw) > 0).all():
        return f"landmark_yaw is {yaw.tolist()}; expected at least one number, increasing"
    covariance = covariance.astype(np.float64)
    xx, yy, xy, yx = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1], covariance[..., 1, 0]
    if not ((xx > 0) & (xx * yy > xy * yx) & (np.abs(xy - yx) <= 1e-3 * (xx + yy))).all():
        return "landmark_covariance holds matrices that are not symmetric and positive definite"
    return None
