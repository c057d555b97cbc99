"""The face model's file: read, checked, written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..anatomy.parts import LABEL, PART_LABELS
from ..bundled import model_path
from ..compute.network import Network
from ..compute.sparse_map import SparseMap
from ..errors import ModelError
from ..files.npz import open_npz
from ..files.read_onnx import parse_onnx
from ..files.together import write_together
from ..files.untrusted import one_line, read_bytes
from .array_table import ARRAYS, dense_bytes, layout_error, table_error
from .catalogue import BUNDLED, resolve
from .corrective import Correctives
from .decoder import CODES, COLOURS, VERTS, Decoder, Prior, make_decoder
from .face_model import Control, FaceModel
from .skeleton import Skeleton

FORMAT, DECODED = 1, 2  # of linear models, and of those with a decoder

LARGEST_BYTES = 1 << 29  # of a model's numbers as they are used; the largest published ones have .35 GiB


def load_model(path: str | os.PathLike | None = None, device: torch.device | str = "cpu") -> FaceModel:
    """Read a model file: a path, the name of an installed model, or None or "default" for the bundled one.

    Raises:
        ModelError: no such file or name, not an npz of this format, or arrays whose shapes do not fit.
    """
    path = model_path() if path is None or str(path) == BUNDLED else resolve(path)
    where = f"face model {path}"
    try:
        # from memory: the checksum is of what is read, and a damaged archive leaves no file open
        raw = read_bytes(path)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None
    except OSError as error:
        raise ModelError(f"{where}: {error.strerror or error}; `make model` builds the default one") from None
    try:
        with open_npz(raw) as file:
            headers = {name: header for name, header in file.headers.items() if name in ARRAYS}
            wrong = layout_error(headers)
            if wrong is not None:
                raise ModelError(f"{path}: {wrong}")
            if (size := max(dense_bytes(headers), file.bytes(headers))) > LARGEST_BYTES:
                limit = f"accepted: up to {LARGEST_BYTES / 2**30:g} GiB"
                raise ModelError(f"{where}: {size / 2**30:.2f} GiB of numbers in its arrays; {limit}")
            arrays = {name: file.read(name) for name in headers}
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{where}: not a NumPy .npz without pickled objects ({one_line(error)})") from None
    except Exception as error:  # zipfile and zlib raise their own types on a damaged archive
        raise ModelError(f"{where}: damaged file ({one_line(error)})") from None
    return from_arrays(arrays, checksum=hashlib.sha256(raw).hexdigest(), where=str(path)).to(device)


def from_arrays(arrays: dict[str, np.ndarray], checksum: str = "", where: str = "face model") -> FaceModel:
    """A model of the arrays of facefit.model.face_model's table, on the CPU.

    Args:
        checksum: of the file, empty for a model made in memory.
        where: begins the messages.
    Raises:
        ModelError: naming the array that does not fit.
    """
    wrong = table_error(arrays)
    if wrong is not None:
        raise ModelError(f"{where}: {wrong}")
    expected = DECODED if "decoder_network" in arrays else FORMAT
    if int(arrays["format"]) != expected:
        what = "with a decoder" if expected == DECODED else "of components"
        raise ModelError(f"{where}: format {int(arrays['format'])}; this version reads format {expected} {what}")

    count = len(arrays["symmetry"])
    subdivision = None
    if "upsample_index" in arrays:
        subdivision = SparseMap.from_rows(arrays["upsample_index"], arrays["upsample_weight"], len(arrays["verts"]))

    def dense(key: str) -> Tensor:
        value = real(key)
        if subdivision is None or len(value) == 0:
            return value if subdivision is None else value.new_zeros(0, count, 3)
        return subdivision(value.reshape(-1, *value.shape[-2:])).reshape(*value.shape[:-2], count, 3)

    def integer(key: str) -> Tensor:
        return torch.from_numpy(arrays[key].astype(np.int64))

    def real(key: str) -> Tensor:
        return torch.from_numpy(arrays[key].astype(np.float32))

    kind = str(arrays["expression_kind"])
    if kind not in ("activation", "gaussian"):
        raise ModelError(f"{where}: expression_kind is {kind!r}; accepted: activation, gaussian")
    try:
        provenance = json.loads(str(arrays["provenance"]))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: provenance is not JSON ({one_line(error)})") from None
    if not isinstance(provenance, dict):
        raise ModelError(f"{where}: provenance is a JSON {type(provenance).__name__}; expected an object")
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
        correctives=_correctives(arrays, real, dense) if "corrective_basis" in arrays else None,
        decoder=_decoder(arrays, real, subdivision, where) if "decoder_network" in arrays else None,
        dense_faces=integer("dense_faces") if "dense_faces" in arrays else None,
        dense_bary=real("dense_bary") if "dense_bary" in arrays else None,
    )
    if subdivision is not None and model.decoder is None:
        names = [name for name in ("identity_basis", "expression_basis", "corrective_basis") if name in arrays]
        basis = torch.cat([real(name) for name in names]).flatten(1)
        object.__setattr__(model, "_control", Control(real("verts").reshape(1, -1), basis, subdivision))
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


def _correctives(
    arrays: dict[str, np.ndarray], real: Callable[[str], Tensor], dense: Callable[[str], Tensor]
) -> Correctives:
    expression = torch.from_numpy(arrays["corrective_expression"].astype(np.int64))
    return Correctives(dense("corrective_basis"), expression, real("corrective_identity"))


def _decoder(
    arrays: dict[str, np.ndarray], real: Callable[[str], Tensor], subdivision: SparseMap | None, where: str
) -> Decoder:
    sizes = {name: len(arrays[f"{name}_basis"]) for name in CODES}
    try:
        graph = parse_onnx(arrays["decoder_network"].tobytes())
        if VERTS not in graph.outputs:
            raise ModelError(f"no output {VERTS!r}")
        colours = Network(graph, [COLOURS]) if COLOURS in graph.outputs else None
        priors = {
            name: Prior(real(f"decoder_{name}_mean")[None], real(f"decoder_{name}_root"))
            for name in CODES if f"decoder_{name}_mean" in arrays
        }  # fmt: skip
        networks = Network(graph, [VERTS]), colours
        return make_decoder(networks, real("decoder_frame"), priors, subdivision, sizes, len(arrays["verts"]))
    except (ModelError, ValueError) as error:
        raise ModelError(f"{where}: decoder_network: {error}") from None


def _part_weight(arrays: dict[str, np.ndarray]) -> Tensor:
    if "part_weight" in arrays:
        return torch.from_numpy(arrays["part_weight"].astype(np.float32) / 255)
    label = torch.from_numpy(arrays["vertex_label"].astype(np.int64)).clamp(0, PART_LABELS - 1)
    return torch.nn.functional.one_hot(label, PART_LABELS).float()


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Write a model file, whole or not at all. Args, Raises as `model_bytes`; OutputError: it cannot be written."""
    write_together({Path(path): model_bytes(arrays, where=str(path))})


def model_bytes(arrays: dict[str, np.ndarray], where: str = "face model") -> bytes:
    """A model as the content of a file, checked first. The same arrays give the same bytes.

    Args:
        arrays: by name, in the shapes and units of facefit.model.face_model's table.
        where: begins the messages.
    Raises:
        ModelError: an array does not fit.
    """
    from_arrays(arrays, where=where)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(arrays):
            # numpy.savez stamps each member with the time of day; a fixed date keeps a rebuild identical
            member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asanyarray(arrays[key]), allow_pickle=False)
    return out.getvalue()
