"""Who a rig is of: the identity that a file of facefit's holds, and the texture beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ..detail.refine import wrinkle_moves
from ..detail.wrinkles import Wrinkle
from ..errors import InputError
from ..files.schema import build, parse, read_text
from ..geometry.triangles import vertex_normals
from ..model.face_model import FaceModel
from ..output.read_back import FitFile
from ..output.read_texture import painted
from ..output.result_format import ModelBlock
from ..vocabulary import MESH_SUFFIXES

FORMATS = {"facefit-result": 1, "facefit-sequence": 1, "facefit-person": 1}  # and their versions
PAINTED = (".glb", ".html", ".obj")  # meshes with a texture
PLAIN = 200  # grey of a rig whose texture is gone


@dataclass(frozen=True)
class _Mesh:
    file: str


@dataclass(frozen=True)
class _Identity:
    identity: list[float]


@dataclass(frozen=True)
class _Result:
    mesh: _Mesh
    model: ModelBlock
    parameters: _Identity


@dataclass(frozen=True)
class _Wrinkle:
    vertices: list[int]
    height: dict[str, list[float]]


@dataclass(frozen=True)
class _Head:
    mesh: _Mesh
    model: ModelBlock
    identity: list[float]
    displacement: list[float] = field(default_factory=list)
    wrinkles: list[_Wrinkle] = field(default_factory=list)


@dataclass(frozen=True)
class HeadFile:
    """A person, as far as a rig needs one.

    Attributes:
        fit: the file; its document says which model it is of.
        identity: (I,) standard deviations. displacement: (V,) mm along the normals of the neutral face, or empty.
        wrinkles: what expressions add to it.
    """

    fit: FitFile
    identity: np.ndarray
    displacement: np.ndarray
    wrinkles: tuple[Wrinkle, ...] = ()

    def files(self) -> list[Path]:
        """What is read, and must not be overwritten."""
        return self.fit.files()

    def neutral(self, model: FaceModel) -> np.ndarray:
        """(V, 3) mm in model space: without expression, looking ahead.

        Raises:
            InputError: numbers that are not the model's.
        """
        identity = torch.from_numpy(self.identity).float()[None]
        counts = (("identity", len(self.identity), model.sizes["identity"]),
                  ("displacement", len(self.displacement), len(model.verts)))  # fmt: skip
        for name, found, expected in counts:
            if found != expected and not (name == "displacement" and found == 0):
                raise InputError(f"{self.fit.path}: {name} has {found} numbers; the model has {expected}")
        verts = model.shape(identity, torch.zeros(1, model.sizes["expression"]))[0].double().numpy()
        if not np.isfinite(verts).all():
            raise InputError(f"{self.fit.path}: identity is beyond all bounds")
        if len(self.displacement):
            verts = verts + self.displacement[:, None] * vertex_normals(verts, model.faces.numpy())
        return verts

    def moves(self, model: FaceModel) -> np.ndarray:
        """(E, V, 3) mm: what the person's wrinkles add to the model's expressions at 1.

        Raises:
            InputError: shapes or vertices that the model does not have.
        """
        for wrinkle in self.wrinkles:
            for name in wrinkle.shapes:
                if name not in model.expression_names:
                    raise InputError(f"{self.fit.path}: wrinkles of {name!r}, an expression that the model lacks")
            if len(wrinkle.vertices) and not 0 <= wrinkle.vertices.min() <= wrinkle.vertices.max() < len(model.verts):
                raise InputError(f"{self.fit.path}: wrinkles of vertices beyond the model's {len(model.verts)}")
        return wrinkle_moves(model, self.neutral(model), self.wrinkles)

    def texture(self) -> np.ndarray:
        """(H, W, 3) uint8; plain grey where the mesh is gone or has none. Raises InputError: damaged."""
        found = painted(self.fit.mesh, 0) if self.fit.mesh.suffix.lower() in PAINTED else None
        return np.full((16, 16, 3), PLAIN, np.uint8) if found is None else found


def read_head(path: Path) -> HeadFile:
    """The person of a fit, a sequence or several photos: a JSON that facefit wrote, or the mesh beside it.

    Raises:
        InputError: there is no such file, or it is none of these.
    """
    beside = path.with_suffix(".json") if path.suffix.lower() in MESH_SUFFIXES else path
    if not beside.is_file():
        raise InputError(f"{path}: no JSON of facefit's there; expected a .json, or a mesh with its .json beside it")
    document = parse(read_text(beside), str(beside))
    kind = document.get("format") if isinstance(document, dict) else None
    if not isinstance(kind, str) or FORMATS.get(kind) != document.get("format_version"):
        raise InputError(f"{beside}: no head that can be moved; expected a result, a person or a sequence of facefit's")
    where = f"{beside}: damaged {kind.removeprefix('facefit-')}"
    displacement: list[float] = []
    wrinkles: list[_Wrinkle] = []
    if kind == "facefit-result":
        result = build(_Result, document, where)
        identity = result.parameters.identity
    else:
        head = build(_Head, document, where)
        identity, displacement, wrinkles = head.identity, head.displacement, head.wrinkles
    name = document["mesh"]["file"]
    if not name or Path(name).name != name or "\0" in name:
        raise InputError(f"{where}: mesh.file: expected the name of a file beside it")
    fit = FitFile(beside, document, beside.stem)
    return HeadFile(fit, np.array(identity), np.array(displacement), tuple(_wrinkle(each, where) for each in wrinkles))


def _wrinkle(written: _Wrinkle, where: str) -> Wrinkle:
    count = len(written.vertices)
    for name, row in written.height.items():
        if len(row) != count:
            raise InputError(f"{where}: wrinkles: height of {name} has {len(row)} numbers for {count} vertices")
    height = np.array(list(written.height.values()), np.float64).reshape(-1, count)
    return Wrinkle(tuple(written.height), np.array(written.vertices, int), height)
