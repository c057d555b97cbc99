"""FaceModel: the linear morphable model as tensors, and its one documented file format.

A model file is a NumPy `.npz` without pickled objects. Shapes: V vertices, F triangles, T texture coordinates,
I / E / A identity / expression / albedo components, L landmarks, Y calibration bins, C control vertices.

| array                  | shape, type          | meaning |
|---|---|---|
| `format`               | ()  int              | 1 |
| `name`, `version`, `license`, `provenance` | () str | free text; `provenance` is JSON |
| `verts`                | (C, 3) float         | mean neutral face, mm, model space (facefit.geometry.camera) |
| `identity_basis`       | (I, C, 3) float      | mm per standard deviation |
| `expression_basis`     | (E, C, 3) float      | mm at activation 1 (or per standard deviation) |
| `expression_names`     | (E,) str             | ARKit names where the model has them |
| `expression_kind`      | () str               | `activation` (coefficients in [0, 1]) or `gaussian` |
| `albedo_mean`          | (C, 3) float         | sRGB-encoded reflectance in [0, 1] |
| `albedo_basis`         | (A, C, 3) float      | per standard deviation |
| `upsample_index`, `upsample_weight` | (V, K)  | optional: row v of every per-vertex array is the weighted sum of K control vertices (a subdivision is linear, so it is stored once and not per component); absent: V = C |
| `faces`                | (F, 3) int           | counter-clockwise seen from outside |
| `uv`, `uv_faces`       | (T, 2) float, (F, 3) int | [0, 1], v up |
| `symmetry`             | (V,) int             | index of the mirrored vertex |
| `vertex_label`         | (V,) uint8           | facefit.anatomy.parts.LABELS (0 to 10) |
| `part_weight`          | (V, 11) uint8        | optional: share of each label at the vertex times 255; interpolated, the largest wins, so that a part may end between two vertices; absent: `vertex_label` alone |
| `eyeball`              | (V,) uint8           | 0 not an eyeball, 1 right, 2 left; turned by `gaze` about its own mean |
| `eyeball_weight`       | (V,) float           | optional: weights, summing to 1 over each eyeball, with which its vertices give the point it turns about; absent: their mean |
| `landmark_faces`, `landmark_bary` | (L,) int, (L, 3) float | points on the surface in MediaPipe's order |
| `landmark_yaw`         | (Y,) float           | degrees, increasing: head yaw of each calibration bin |
| `landmark_bias`        | (Y, L, 2) float      | mean of detection - truth, mm in the image plane (x right, y down) |
| `landmark_covariance`  | (Y, L, 2, 2) float   | of the same, mm^2 |
| `contour_rows`         | (R, K) int           | rows of vertices across the cheek from front to back, for contour marching; -1 pads |
| `contour_landmarks`    | (R,) int             | the landmark that marches along each row |
| `joint_names`, `joint_parent` | (J,) str, (J,) int | optional, as all that follow: `root`, `neck`, `jaw`, `right_eye`, `left_eye`, `other`; an earlier joint, -1 at the root |
| `joint_position`, `joint_position_basis` | (J, 3), (I, J, 3) float | mm at rest, and mm per standard deviation of identity |
| `joint_weight`         | (V, J) float         | linear blend skinning; rows sum to 1 |
| `joint_pose_basis`     | (9 (J - 1), C, 3) float | optional: mm per unit of the flattened R - I of joints 1 to J - 1 |
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..anatomy.parts import LABEL
from ..bundled import model_path
from ..compute.row_product import affine_rows
from ..compute.sparse_map import SparseMap
from ..errors import ModelError
from .array_table import PART_LABELS, table_error
from .registry import BUNDLED, resolve
from .skeleton import EYES, Skeleton, gaze_rotation

FORMAT = 1


@dataclass(frozen=True)
class FaceModel:
    """A linear morphable model on one device. Shapes as in the module's table, control vertices already upsampled.

    Attributes beyond the table:
        identity_basis, expression_basis, albedo_basis: (I, V, 3), (E, V, 3), (A, V, 3) float32.
        part_weight: (V, 11) float32 in [0, 1].
        activation: True when the expression coefficients live in [0, 1].
        checksum: sha256 of the file, empty for a model made in memory.
        eyeball_weight: (V,), or None for the mean.
        skeleton: the joints, or None.
    """

    name: str
    version: str
    license: str
    provenance: dict
    verts: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    expression_names: tuple[str, ...]
    activation: bool
    albedo_mean: Tensor
    albedo_basis: Tensor
    faces: Tensor
    uv: Tensor
    uv_faces: Tensor
    symmetry: Tensor
    vertex_label: Tensor
    part_weight: Tensor
    eyeball: Tensor
    landmark_faces: Tensor
    landmark_bary: Tensor
    landmark_yaw: Tensor
    landmark_bias: Tensor
    landmark_covariance: Tensor
    contour_rows: Tensor
    contour_landmarks: Tensor
    checksum: str = ""
    eyeball_weight: Tensor | None = None
    skeleton: Skeleton | None = None

    @property
    def device(self) -> torch.device:
        return self.verts.device

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of coefficients: identity, expression, albedo; and of joints."""
        return {
            "identity": self.identity_basis.shape[0],
            "expression": self.expression_basis.shape[0],
            "albedo": self.albedo_basis.shape[0],
            "joints": 0 if self.skeleton is None else len(self.skeleton.names),
        }

    def shape(
        self, identity: Tensor, expression: Tensor, gaze: Tensor | None = None, joints: Tensor | None = None
    ) -> Tensor:
        """Vertices in model space.

        Args:
            identity: (B, I) standard deviations.
            expression: (B, E) activations or standard deviations.
            gaze: (B, 2, 2) radians: right and left eye; yaw (positive looks to the subject's left, +x) and pitch
                (positive looks up).
            joints: (B, J, 3) radians, rotation vectors; of neck and jaw, where the model has them.
        Returns:
            (B, V, 3) mm.
        Source: Wang et al. 2024, eq. 1.
        """
        coefficients = torch.cat([identity, expression], 1)
        control = self.__dict__.get("_control")
        if control is not None:
            verts = control(coefficients)
        else:
            basis = self._shape_basis()
            verts = affine_rows(self.verts.reshape(1, -1), coefficients, basis).reshape(-1, *self.verts.shape)
        skeleton = self.skeleton
        if gaze is not None and (skeleton is None or not set(EYES) & set(skeleton.names)):
            verts = self._turn_eyes(verts, gaze)
        if skeleton is None or (gaze is None and joints is None):
            return verts
        return skeleton.bend(verts, identity, skeleton.rotations(len(verts), joints, gaze))

    def albedo(self, albedo: Tensor) -> Tensor:
        """(B, A) standard deviations -> (B, V, 3) sRGB-encoded reflectance; not clamped."""
        count = self.verts.shape[0]
        basis = self.albedo_basis.reshape(self.albedo_basis.shape[0], -1)
        return affine_rows(self.albedo_mean.reshape(1, -1), albedo, basis).reshape(-1, count, 3)

    def landmarks(self, verts: Tensor) -> Tensor:
        """(B, V, 3) vertices -> (B, L, 3) the model's landmarks on that surface."""
        if verts.device.type == "cpu":
            cached = self.__dict__.get("_landmark_map")
            if cached is None:
                triangles = self.faces[self.landmark_faces].numpy()
                cached = SparseMap.from_rows(triangles, self.landmark_bary.numpy(), len(self.verts))
                object.__setattr__(self, "_landmark_map", cached)
            return cached(verts)
        corners = verts[:, self.faces[self.landmark_faces]]
        return (corners * self.landmark_bary[None, :, :, None]).sum(2)

    def to(self, device: torch.device | str) -> FaceModel:
        if self.device == torch.device(device):
            return self  # keeps what was derived from the model and cached on it
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return FaceModel(**{k: v.to(device) if isinstance(v, (Tensor, Skeleton)) else v for k, v in moved.items()})

    def _shape_basis(self) -> Tensor:
        cached = self.__dict__.get("_stacked_basis")
        if cached is None:
            cached = torch.cat([self.identity_basis, self.expression_basis]).reshape(-1, self.verts.numel())
            object.__setattr__(self, "_stacked_basis", cached)
        return cached

    def _turn_eyes(self, verts: Tensor, gaze: Tensor) -> Tensor:
        turns = gaze_rotation(gaze.reshape(-1, 2)).reshape(-1, 2, 3, 3).transpose(2, 3)
        for eye, index in self._eyeball_index():
            ball = verts.index_select(1, index)  # not verts[:, index]: that one's gradient is slow
            if self.eyeball_weight is None:
                centre = ball.mean(1, keepdim=True)
            else:
                centre = (ball * self.eyeball_weight[index, None]).sum(1, keepdim=True)
            verts = verts.index_copy(1, index, (ball - centre) @ turns[:, eye] + centre)
        return verts

    def _eyeball_index(self) -> list[tuple[int, Tensor]]:
        """The eyes there are, 0 right and 1 left, and the vertices of each."""
        cached = self.__dict__.get("_eyeballs")
        if cached is None:
            found = [(eye, (self.eyeball == eye + 1).nonzero()[:, 0]) for eye in (0, 1)]
            cached = [(eye, index) for eye, index in found if len(index)]
            object.__setattr__(self, "_eyeballs", cached)
        return cached


@dataclass(frozen=True)
class _Control:
    """The shape of a subdivided model from its control vertices: a quarter of the numbers to read at every call.

    Kept beside the fields and not as one: a model with other bases (dataclasses.replace) or on another device does
    without it.
    """

    mean: Tensor  # (1, C * 3)
    basis: Tensor  # (I + E, C * 3)
    subdivision: SparseMap

    def __call__(self, coefficients: Tensor) -> Tensor:
        """(B, I + E) -> (B, V, 3)."""
        control = affine_rows(self.mean, coefficients, self.basis)
        return self.subdivision(control.reshape(-1, self.subdivision.inputs, 3))


def load_model(path: str | os.PathLike | None = None, device: torch.device | str = "cpu") -> FaceModel:
    """Read a model file: a path, the name of an installed model, or None or "default" for the bundled one.

    Raises:
        ModelError: no such file or name, not an npz of this format, or arrays whose shapes do not fit.
    """
    path = model_path() if path is None or str(path) == BUNDLED else resolve(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(f"face model {path}: {error.strerror or error}; `make model` builds the default one") from None
    try:
        # from memory: the checksum is of what is read, and a damaged archive leaves no file open
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise ModelError(f"face model {path}: not a NumPy .npz without pickled objects ({error})") from None
    except Exception as error:  # zipfile and zlib raise their own types on a damaged archive
        raise ModelError(f"face model {path}: damaged file ({type(error).__name__}: {error})") from None
    return from_arrays(arrays, checksum=hashlib.sha256(raw).hexdigest(), where=str(path)).to(device)


def from_arrays(arrays: dict[str, np.ndarray], checksum: str = "", where: str = "face model") -> FaceModel:
    """Arrays of the module's table -> FaceModel on the CPU. Raises ModelError naming the array that does not fit."""
    wrong = table_error(arrays)
    if wrong is not None:
        raise ModelError(f"{where}: {wrong}")
    if int(arrays["format"]) != FORMAT:
        raise ModelError(f"{where}: format {int(arrays['format'])}; this version reads format {FORMAT}")

    subdivision = None
    if "upsample_index" in arrays:
        subdivision = SparseMap.from_rows(arrays["upsample_index"], arrays["upsample_weight"], len(arrays["verts"]))

    def dense(key: str) -> Tensor:
        value = real(key)
        return value if subdivision is None else subdivision(value.reshape(-1, *value.shape[-2:])).reshape(
            *value.shape[:-2], -1, 3
        )

    def integer(key: str) -> Tensor:
        return torch.from_numpy(arrays[key].astype(np.int64))

    def real(key: str) -> Tensor:
        return torch.from_numpy(arrays[key].astype(np.float32))

    kind = str(arrays["expression_kind"])
    if kind not in ("activation", "gaussian"):
        raise ModelError(f"{where}: expression_kind is {kind!r}; accepted: activation, gaussian")
    try:
        provenance = json.loads(str(arrays["provenance"]))
    except json.JSONDecodeError as error:
        raise ModelError(f"{where}: provenance is not JSON ({error})") from None
    model = FaceModel(
        name=str(arrays["name"]),
        version=str(arrays["version"]),
        license=str(arrays["license"]),
        provenance=provenance,
        verts=dense("verts"),
        identity_basis=dense("identity_basis"),
        expression_basis=dense("expression_basis"),
        expression_names=tuple(str(n) for n in arrays["expression_names"]),
        activation=kind == "activation",
        albedo_mean=dense("albedo_mean"),
        albedo_basis=dense("albedo_basis"),
        faces=integer("faces"),
        uv=real("uv"),
        uv_faces=integer("uv_faces"),
        symmetry=integer("symmetry"),
        vertex_label=integer("vertex_label"),
        part_weight=_part_weight(arrays),
        eyeball=integer("eyeball"),
        landmark_faces=integer("landmark_faces"),
        landmark_bary=real("landmark_bary"),
        landmark_yaw=real("landmark_yaw"),
        landmark_bias=real("landmark_bias"),
        landmark_covariance=real("landmark_covariance"),
        contour_rows=integer("contour_rows"),
        contour_landmarks=integer("contour_landmarks"),
        checksum=checksum,
        eyeball_weight=real("eyeball_weight") if "eyeball_weight" in arrays else None,
        skeleton=_skeleton(arrays, real, dense) if "joint_names" in arrays else None,
    )
    if subdivision is not None:
        basis = torch.cat([real("identity_basis"), real("expression_basis")]).flatten(1)
        object.__setattr__(model, "_control", _Control(real("verts").reshape(1, -1), basis, subdivision))
    return model


def _skeleton(arrays: dict[str, np.ndarray], real: Callable[[str], Tensor], dense: Callable[[str], Tensor]) -> Skeleton:
    weight = real("joint_weight")
    nose = torch.from_numpy(arrays["vertex_label"] == LABEL["nose"])
    return Skeleton(
        names=tuple(str(name) for name in arrays["joint_names"]),
        parent=tuple(arrays["joint_parent"].tolist()),
        position=real("joint_position"),
        position_basis=real("joint_position_basis"),
        weight=weight,
        pose_basis=dense("joint_pose_basis") if "joint_pose_basis" in arrays else None,
        carrier=int((weight[nose] if nose.any() else weight).sum(0).argmax()),
    )


def _part_weight(arrays: dict[str, np.ndarray]) -> Tensor:
    if "part_weight" in arrays:
        return torch.from_numpy(arrays["part_weight"].astype(np.float32) / 255)
    label = torch.from_numpy(arrays["vertex_label"].astype(np.int64)).clamp(0, PART_LABELS - 1)
    return torch.nn.functional.one_hot(label, PART_LABELS).float()


def upsample(value: np.ndarray, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(..., C, 3) control values -> (..., V, 3) by (V, K) indices and weights."""
    values = torch.from_numpy(np.asarray(value, np.float32).reshape(-1, *value.shape[-2:]))
    out = SparseMap.from_rows(np.asarray(index), np.asarray(weight), value.shape[-2])(values)
    return out.numpy().reshape(*value.shape[:-2], len(index), 3)


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Write a model file: checked first, to a temporary name, then renamed. The same arrays give the same bytes."""
    import zipfile

    from_arrays(arrays, where=str(path))
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for key in sorted(arrays):
                # numpy.savez stamps each member with the time of day; a fixed date keeps a rebuild identical
                member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w", force_zip64=True) as out:
                    np.lib.format.write_array(out, np.asanyarray(arrays[key]), allow_pickle=False)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
