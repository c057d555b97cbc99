"""SourceModel: a head model as its publisher describes it, in facefit's units and axes. Readers make it, the installer
(facefit.importers.install) turns it into a model file.

A reader answers one question: what is in the original file. It converts units (mm), axes (x to the subject's left, y
up, z out of the face) and scales (components per standard deviation), and leaves out what the file does not say:
symmetry, landmarks, parts, texture coordinates and colours that are missing are found by the installer, the same way
for every model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..anatomy.parts import LABEL, PART_LABELS
from ..errors import ModelError

JOINT_NAMES = ("root", "neck", "jaw", "right_eye", "left_eye", "other")
EYEBALL_LABELS = np.array([0, LABEL["right_eye"], LABEL["left_eye"]], np.uint8)  # of `eyeball` 0, 1, 2
SMALLEST, LARGEST = 60.0, 3000.0  # mm, the longer side of a head (or bust, or body) in any plausible unit of length


def eyeballs(hint: np.ndarray) -> np.ndarray:
    """(V,) labels -> (V,) uint8 as SourceModel.eyeball: 1 the right eye's vertices, 2 the left eye's, 0 all others."""
    return np.select([hint == EYEBALL_LABELS[1], hint == EYEBALL_LABELS[2]], [1, 2], 0).astype(np.uint8)


@dataclass(frozen=True)
class Joints:
    """Joints turned by linear blend skinning, with the pose correctives of SMPL-like models.

    Attributes:
        names: (J,) str, each of JOINT_NAMES; `other` and `root` may occur more than once.
        parent: (J,) int: index of the parent, which comes before its children; -1 at the root.
        position: (J, 3) mm, of the mean face at rest.
        position_basis: (I, J, 3) mm per standard deviation of identity: a joint moves with the face it is in.
        weight: (V, J) skinning weights; the rows sum to 1.
        pose_basis: (9 (J - 1), V, 3) mm per unit of the flattened R - I of joints 1 to J - 1, row-major; or None.
    Source: Loper et al. 2015 (SMPL), sec. 3; Li et al. 2017 (FLAME), sec. 4.
    """

    names: tuple[str, ...]
    parent: np.ndarray
    position: np.ndarray
    position_basis: np.ndarray
    weight: np.ndarray
    pose_basis: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        unknown = sorted(set(self.names) - set(JOINT_NAMES))
        if unknown:
            raise ModelError(f"joint {unknown[0]!r} is not known; accepted: {', '.join(JOINT_NAMES)}")
        count = len(self.names)
        parent = _integers(self, "parent", (count,))
        if count and not ((parent >= -1) & (parent < np.arange(count))).all():
            raise ModelError("joint parents must be -1 or the index of an earlier joint")
        _reals(self, "position", (count, 3))
        _reals(self, "position_basis", (None, count, 3))
        weight = _reals(self, "weight", (None, count))
        off = np.abs(weight.sum(1) - 1).max(initial=0.0)
        if (weight < -1e-4).any() or off > 1e-2:
            raise ModelError(
                f"skinning weights must be positive and sum to 1 at each vertex; a row is off by {off:.3f}"
            )
        if self.pose_basis is not None:
            _reals(self, "pose_basis", (9 * (count - 1), len(weight), 3))


@dataclass(frozen=True)
class SourceDecoder:
    """A network that makes the shapes, as facefit.model.face_model's `decoder_` arrays have it.

    Attributes:
        network: the bytes of its ONNX file.
        frame: (3, 3), its vertices times it are mm in model axes.
        priors: code -> mean (M,) and root (K, M) of those that are not standard normal for the network.
    """

    network: bytes
    frame: np.ndarray
    priors: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Of the model file."""
        out: dict[str, np.ndarray] = {"decoder_network": np.frombuffer(self.network, np.uint8)}
        out["decoder_frame"] = self.frame.astype(np.float32)
        for code, (mean, root) in self.priors.items():
            out |= {f"decoder_{code}_mean": mean.astype(np.float32), f"decoder_{code}_root": root.astype(np.float32)}
        return out


@dataclass(frozen=True)
class SourceModel:
    """A morphable model in millimetres and model axes; the origin is free. Arrays are checked when it is made.

    Attributes:
        name, version, license: str.
        provenance: JSON values: origin, paper, sha256 of the file read, ...
        verts: (V, 3) mean neutral face, mm; x to the subject's left, y up, z out of the face.
        faces: (F, 3) triangles, counter-clockwise seen from outside.
        identity_basis: (I, V, 3) mm per standard deviation.
        expression_basis: (E, V, 3) mm at activation 1, or per standard deviation.
        expression_names: (E,) str; ARKit names where the original has them.
        activation: True where expression coefficients are activations in [0, 1].
        albedo_mean: (V, 3) sRGB-encoded reflectance in [0, 1], or None.
        albedo_basis: (A, V, 3) per standard deviation, or None.
        uv, uv_faces: (T, 2) in [0, 1] with v up, and (F, 3); both or neither.
        joints: Joints, or None for a model without.
        eyeball: (V,) 0, 1 right, 2 left; or None.
        label_hint: (V,) 0 to 10 of facefit.anatomy.parts.LABELS where the original names its parts (teeth, eyes, mouth
            cavity), 0 elsewhere; or None.
        decoder: the network that makes the shapes, or None; the bases are then what it does at rest.
    Raises:
        ModelError: one line naming the array, its shape or value, and what is accepted.
    """

    name: str
    version: str
    license: str
    verts: np.ndarray
    faces: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray
    expression_names: tuple[str, ...]
    activation: bool
    provenance: dict = field(default_factory=dict)
    albedo_mean: np.ndarray | None = None
    albedo_basis: np.ndarray | None = None
    uv: np.ndarray | None = None
    uv_faces: np.ndarray | None = None
    joints: Joints | None = None
    eyeball: np.ndarray | None = None
    label_hint: np.ndarray | None = None
    decoder: SourceDecoder | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression_names", tuple(str(name) for name in self.expression_names))
        verts = _reals(self, "verts", (None, 3))
        count = len(verts)
        if count < 4:
            raise ModelError(f"verts has {count} rows; a face has more")
        size = float(np.ptp(verts, axis=0).max())
        if not SMALLEST <= size <= LARGEST:
            raise ModelError(f"the mesh is {size:.4g} mm long; accepted: {SMALLEST:g} to {LARGEST:g} (wrong unit?)")
        _indices(self, "faces", (None, 3), count)
        _reals(self, "identity_basis", (None, count, 3))
        _reals(self, "expression_basis", (len(self.expression_names), count, 3))
        if self.albedo_mean is not None:
            mean = _reals(self, "albedo_mean", (count, 3))
            if mean.min() < -0.01 or mean.max() > 1.01:
                raise ModelError(f"albedo_mean runs from {mean.min():.3g} to {mean.max():.3g}; accepted: 0 to 1 (sRGB)")
        if self.albedo_basis is not None:
            if self.albedo_mean is None:
                raise ModelError("albedo_basis without albedo_mean")
            _reals(self, "albedo_basis", (None, count, 3))
        if (self.uv is None) != (self.uv_faces is None):
            raise ModelError("uv and uv_faces come together or not at all")
        if self.uv is not None:
            uv = _reals(self, "uv", (None, 2))
            _indices(self, "uv_faces", (len(self.faces), 3), len(uv))
        if self.eyeball is not None:
            _indices(self, "eyeball", (count,), 3)
        if self.label_hint is not None:
            _indices(self, "label_hint", (count,), PART_LABELS)
        if self.joints is not None:
            if len(self.joints.weight) != count:
                raise ModelError(f"skinning weights of {len(self.joints.weight)} vertices for a mesh of {count}")
            if len(self.joints.position_basis) != len(self.identity_basis):
                raise ModelError(
                    f"joints.position_basis has {len(self.joints.position_basis)} components, "
                    f"identity_basis {len(self.identity_basis)}"
                )


def _checked(owner: object, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The array of that name, of that shape (None: any length)."""
    value = np.asarray(getattr(owner, name))
    fits = value.ndim == len(shape) and all(w is None or w == g for w, g in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise ModelError(f"{name} has shape {value.shape}; expected {wanted}")
    return value


def _reals(owner: object, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """As float32 and finite; written back, so that every reader hands over the same type."""
    value = _checked(owner, name, shape)
    if value.dtype.kind not in "fiu":
        raise ModelError(f"{name} is of type {value.dtype}; expected numbers")
    value = value.astype(np.float32, copy=False)
    if not np.isfinite(value).all():
        raise ModelError(f"{name} holds values that are not finite")
    object.__setattr__(owner, name, value)
    return value


def _integers(owner: object, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    value = _checked(owner, name, shape)
    if value.dtype.kind not in "iub":
        raise ModelError(f"{name} is of type {value.dtype}; expected integers")
    value = value.astype(np.int64, copy=False)
    object.__setattr__(owner, name, value)
    return value


def _indices(owner: object, name: str, shape: tuple[int | None, ...], limit: int) -> np.ndarray:
    value = _integers(owner, name, shape)
    if value.size and (value.min() < 0 or value.max() >= limit):
        raise ModelError(f"{name} runs from {value.min()} to {value.max()}; accepted: 0 to {limit - 1}")
    return value
