"""Does a set of arrays keep to the model file's table (fitter.model.face_model)? Kinds, shapes, finiteness, ranges."""

from __future__ import annotations

import numpy as np

PART_LABELS = 11  # fitter.observation.LABELS 0 to 10: what a mesh can be labelled with

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
    "contour_landmarks": ("whole", ("R",)),
}  # fmt: skip
_OPTIONAL = ("upsample_index", "upsample_weight", "part_weight")
_KINDS = {"whole": ("iu", "whole numbers"), "real": ("fiu", "numbers"), "text": ("U", "text")}
# Array: least value, and what all values lie below.
_RANGES: dict[str, tuple[int, str | int]] = {
    "upsample_index": (0, "C"), "faces": (0, "V"), "uv_faces": (0, "T"), "symmetry": (0, "V"),
    "vertex_label": (0, PART_LABELS), "part_weight": (0, 256), "eyeball": (0, 3), "landmark_faces": (0, "F"),
    "contour_rows": (-1, "V"), "contour_landmarks": (0, "L"),
}  # fmt: skip


def table_error(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays, naming the first that does not fit; None where all is well."""
    missing = [name for name in _TABLE if name not in arrays and name not in _OPTIONAL]
    if missing:
        return f"lacks {', '.join(missing)}; see fitter/model/face_model.py for the format"
    if ("upsample_index" in arrays) != ("upsample_weight" in arrays):
        return "has only one of upsample_index and upsample_weight"
    sizes: dict[str, int] = {}
    for name, (kind, shape) in _TABLE.items():
        if name not in arrays:
            continue
        value = arrays[name]
        accepted, words = _KINDS[kind]
        if value.dtype.kind not in accepted:
            return f"{name} holds {value.dtype}; expected {words}"
        if value.ndim == len(shape):
            for letter, length in zip(shape, value.shape, strict=True):
                if isinstance(letter, str):
                    sizes.setdefault(letter, length)
        expected = tuple(sizes.get(n, n) if isinstance(n, str) else n for n in shape)
        if value.shape != expected:
            return f"{name} has shape {value.shape}; expected ({', '.join(map(str, expected))})"
        if kind == "real" and not np.isfinite(value).all():
            return f"{name} holds values that are not finite"
        if name == "verts" and "upsample_index" not in arrays:
            sizes["V"] = sizes["C"]
    for name, (least, limit) in _RANGES.items():
        limit = sizes[limit] if isinstance(limit, str) else limit
        if name in arrays and arrays[name].size and not (least <= arrays[name].min() and arrays[name].max() < limit):
            return f"{name} holds values outside [{least}, {limit})"
    return _calibration_error(arrays["landmark_yaw"], arrays["landmark_covariance"])


def _calibration_error(yaw: np.ndarray, covariance: np.ndarray) -> str | None:
    if len(yaw) == 0 or not (np.diff(yaw) > 0).all():
        return f"landmark_yaw is {yaw.tolist()}; expected at least one number, increasing"
    covariance = covariance.astype(np.float64)
    xx, yy, xy, yx = covariance[..., 0, 0], covariance[..., 1, 1], covariance[..., 0, 1], covariance[..., 1, 0]
    if not ((xx > 0) & (xx * yy > xy * yx) & (np.abs(xy - yx) <= 1e-3 * (xx + yy))).all():
        return "landmark_covariance holds matrices that are not symmetric and positive definite"
    return None
