"""Somebody who is known already, to tell others by: an earlier fit of a photo, or an earlier person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import InputError
from ..files.schema import build, parse, read_text
from ..model.face_model import FaceModel
from ..output.read_back import FitFile, check_model, load_scene, one_fit
from ..output.result_format import ModelBlock
from ..vocabulary import MESH_SUFFIXES
from .files import FORMAT, FORMAT_VERSION
from .people import Reference


@dataclass(frozen=True)
class _Mesh:
    file: str


@dataclass(frozen=True)
class _Person:
    format_version: int
    mesh: _Mesh
    model: ModelBlock
    identity: list[float]
    albedo: list[float]


@dataclass(frozen=True)
class ReferenceFile:
    """A reference before the model is there: `person` where the file is one of several photos, else a single fit."""

    fit: FitFile
    person: _Person | None = None

    def files(self) -> list[Path]:
        """What is read, and must not be overwritten."""
        return self.fit.files()

    def load(self, model: FaceModel) -> Reference:
        """The reference. Raises InputError: it is of another model, or damaged."""
        on_cpu = model.to("cpu")
        check_model([self.fit], on_cpu)
        if self.person is None:
            return Reference.of(load_scene(self.fit, on_cpu).parameters)
        values = {}
        for name in ("identity", "albedo"):
            numbers = getattr(self.person, name)
            if len(numbers) != on_cpu.sizes[name]:
                raise InputError(
                    f"{self.fit.path}: {name} has {len(numbers)} numbers; the model has {on_cpu.sizes[name]}"
                )
            values[name] = torch.tensor([numbers])
        return Reference(**values)


def read_reference(path: Path) -> ReferenceFile:
    """The JSON of a fit or of a person, or the mesh beside it.

    Raises:
        InputError: there is no such file, it is none of these, or damaged.
    """
    beside = path.with_suffix(".json") if path.suffix.lower() in MESH_SUFFIXES else path
    if beside.suffix.lower() != ".json" or not beside.is_file():
        return ReferenceFile(one_fit(path))
    document = parse(read_text(beside), str(beside), strict=False)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return ReferenceFile(one_fit(path))
    if document.get("format_version") != FORMAT_VERSION:
        version = str(document.get("format_version"))[:40]
        raise InputError(f"{beside}: person format {version}; this version reads {FORMAT_VERSION}")
    person = build(_Person, document, f"{beside}: damaged person")
    if Path(person.mesh.file).name != person.mesh.file or "\0" in person.mesh.file or not person.mesh.file:
        raise InputError(f"{beside}: damaged person: mesh.file: expected the name of a file beside it")
    own = {"mesh": {"file": person.mesh.file}, "photo": {"path": ""}, "model": document["model"]}
    return ReferenceFile(FitFile(beside, own, beside.stem), person)
