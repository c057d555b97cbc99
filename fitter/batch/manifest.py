"""What a batch remembers: a record per photo, or person, in `manifest.jsonl`, and the same table in `manifest.parquet`.

`manifest.jsonl` gets one line as soon as a photo is done, so that an interrupted run goes on where it stopped. The last
line of a photo counts:

| key | meaning |
|---|---|
| `photo` | its key: path below the source's folder, with `/`, or absolute; of a person the name of the group |
| `bytes`, `modified` | of the photo's file; when they change it is fitted again |
| `status` | `done` or `failed` |
| `final` | false for a failure that the machine is to blame for (memory, a killed worker): the next run tries again |
| `exit_code`, `error` | what `facefit fit` would have returned and said; 0 and null when done |
| `seconds` | work on this photo: reading, detection, its share of the fit, writing |
| `outputs`, `output_bytes` | paths in the output folder, each face's mesh first, and their sizes |
| `faces` | per face: `face` (its number), `status`, `error`, `mesh`, `energies`, `part_iou`, `landmark_error`,
    `seconds`, and `thumbnail`, a small picture for the contact sheet, where one was asked for |
| `model` | name, version and checksum of the face model |
| `settings` | options that decide what is written; with others the photo is fitted again |
| `thumbnail` | the same of a photo without a fitted face |
| `photos`, `left_out` | of a person: its photos, and those of them that are not part of it (`name`, `reason`) |

A person is one face: `status` is `doubtful` where half of the fitted photos are or more, `part_iou` and
`landmark_error` are means over them, `energies` sums.

`manifest.parquet` has one row per face, and one with `face` null for a photo without any; energies are columns
`energy_NAME`, and `status` is `done`, `doubtful` (a fit that may not lie on the face) or `failed`. It is written when a
batch ends (also by Ctrl-C), from the lines above.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, TypedDict

from ..errors import InputError, OutputError
from ..files.numbers import finite
from ..files.schema import build, parse

logger = logging.getLogger(__name__)

MANIFEST, TABLE = "manifest.jsonl", "manifest.parquet"
LONGEST_LINE = 1 << 20  # bytes; a photo with a hundred faces has a twentieth of it


Status = Literal["done", "failed"]


class _Face(TypedDict, total=False):
    """What a line says of a face."""

    face: int
    status: str
    error: str | None
    mesh: str | None
    energies: dict[str, float | None] | None
    part_iou: float | None
    landmark_error: float | None
    seconds: float | None
    thumbnail: str | None


class _LeftOut(TypedDict, total=False):
    name: str
    reason: str


class _Model(TypedDict, total=False):
    name: str | None
    version: str | None
    checksum: str | None


@dataclass(frozen=True)
class Record:
    """One photo of a batch, as the module's table says."""

    photo: str
    bytes: int
    modified: float
    status: Status
    exit_code: int = 0
    error: str | None = None
    seconds: float = 0.0
    outputs: list[str] = field(default_factory=list)
    output_bytes: list[int] = field(default_factory=list)
    faces: Annotated[list[dict], list[_Face]] = field(default_factory=list)
    model: Annotated[dict, _Model] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    thumbnail: str | None = None
    final: bool = True
    photos: list[str] = field(default_factory=list)
    left_out: Annotated[list[dict], list[_LeftOut]] = field(default_factory=list)

    @property
    def doubtful(self) -> bool:
        """Whether a face of it may not lie on the photo's (facefit.fit.verdict)."""
        return self.status == "done" and any(map(_doubtful, self.faces))

    @property
    def reason(self) -> str:
        """What is wrong, in few words: without the photo's name, and without what would be right."""
        return (self.error or "").split(f"{self.photo}: ", 1)[-1].split("; ")[0]

    def line(self) -> str:
        """One line of JSON, plain ASCII, with its end of line."""
        own = () if self.photos else ("photos", "left_out")  # of people
        return json.dumps({name: value for name, value in asdict(self).items() if name not in own}) + "\n"


_DECIDED_NOTHING = ("seed",)  # settings of earlier versions: a photo is not fitted again for the lack of them


def parse_record(line: str | bytes, where: str = MANIFEST) -> Record:
    """A line of the manifest. Keys of other versions are left aside.

    Args:
        where: what a message begins with.
    Raises:
        InputError: one that a crash cut off, or that is none; it names the key.
    """
    return _record(parse(line, where), where)


def _record(document: Any, where: str) -> Record:
    record = build(Record, document, where)
    for name in _names(record):
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise InputError(f"{where}: {ascii(name)} is no name in the output folder")
    settings = {name: value for name, value in record.settings.items() if name not in _DECIDED_NOTHING}
    return replace(record, settings=settings)


def _names(record: Record) -> list[str]:
    """All files that a record names."""
    faces = [face.get(key) for face in record.faces for key in ("mesh", "thumbnail")]
    return [name for name in (*record.outputs, record.thumbnail, *faces) if name]


def parse_manifest(text: str | None, where: str | Path = MANIFEST) -> dict[str, Record]:
    """The last record of each photo, in the order of their first lines. A line that is no record costs itself: what is
    wrong with it is logged, and its photo, where the line still tells which, is done again."""
    return _parsed((text or "").split("\n"), where)


def _parsed(lines: Iterable[str], where: str | Path) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        place, document = f"{where}: line {number}", None
        try:
            document = parse(line, place)
            record = _record(document, place)
        except InputError as error:
            logger.warning("%s; the line is left aside, and its photo done again", error)
            photo = document.get("photo") if isinstance(document, dict) else None
            if isinstance(photo, str):
                records.pop(photo, None)
        else:
            records[record.photo] = record
    return records


def read_manifest(path: Path) -> dict[str, Record]:
    """See `parse_manifest`; empty where there is no such file. Raises OutputError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return _parsed(_lines(stream), path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from None


def _lines(stream: BinaryIO) -> Iterator[str]:
    """One after another: a manifest may be larger than the memory. Of a line beyond LONGEST_LINE its beginning, which
    is no record."""
    while line := stream.readline(LONGEST_LINE):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE)
        yield line.decode("utf-8", "replace").removesuffix("\n")


def append_record(path: Path, record: Record) -> None:
    """Add one line and have it on the disk before returning. Raises OutputError."""
    line = record.line()
    try:
        with path.open("a+b", buffering=0) as stream:
            # a line that a crash cut off must not swallow this one
            if before := stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else "\n" + line
            try:
                data = memoryview(line.encode())
                while data:  # a disk that is nearly full takes a part
                    data = data[stream.write(data) :]
                os.fsync(stream.fileno())
            except OSError:
                stream.truncate(before)
                raise
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from None


def have_parquet() -> bool:
    """Whether pyarrow, which writes the table, is installed."""
    import importlib.util

    return importlib.util.find_spec("pyarrow") is not None


def table_bytes(records: Iterable[Record]) -> bytes:
    """The content of `manifest.parquet`. Needs pyarrow."""
    import pyarrow
    import pyarrow.parquet as parquet

    records = list(records)
    names = sorted({name for record in records for face in record.faces for name in face.get("energies") or {}})
    text, real, whole = pyarrow.string(), pyarrow.float64(), pyarrow.int64()
    columns = [
        ("photo", text), ("face", whole), ("status", text), ("exit_code", whole), ("error", text), ("mesh", text),
        ("energy", real), *((f"energy_{_text(name)}", real) for name in names), ("part_iou", real),
        ("landmark_error", real), ("seconds", real), ("model", text), ("model_version", text), ("model_checksum", text),
        ("bytes", whole), ("modified", real), ("outputs", pyarrow.list_(text)), ("settings", text),
        ("photos", pyarrow.list_(text)), ("left_out", pyarrow.list_(text)),
    ]  # fmt: skip
    rows = [row for record in records for row in _rows(record, names)]
    arrays = [pyarrow.array([row[name] for row in rows], kind) for name, kind in columns]
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, names=[name for name, _ in columns]), out, compression="zstd")
    return out.getvalue()


def _rows(record: Record, names: list[str]) -> Iterable[dict]:
    for face in record.faces or [{}]:
        energies = face.get("energies") or {}
        yield {
            "photo": _text(record.photo),
            "face": face.get("face"),
            "status": "failed" if face.get("error") or not face else "doubtful" if _doubtful(face) else "done",
            "exit_code": record.exit_code,
            "error": _text(face.get("error") or (None if face.get("mesh") else record.error)),
            "mesh": _text(face.get("mesh")),
            "energy": total_energy(face),
            **{f"energy_{_text(name)}": energies.get(name) for name in names},
            "part_iou": face.get("part_iou"),
            "landmark_error": face.get("landmark_error"),
            "seconds": face.get("seconds", record.seconds),
            "model": _text(record.model.get("name")),
            "model_version": _text(record.model.get("version")),
            "model_checksum": _text(record.model.get("checksum")),
            "bytes": record.bytes,
            "modified": record.modified,
            "outputs": [_text(name) for name in record.outputs],
            "settings": json.dumps(record.settings, sort_keys=True),
            "photos": [_text(name) for name in record.photos],
            "left_out": [_text(f"{each.get('name')}: {each.get('reason')}") for each in record.left_out],
        }


def _doubtful(face: dict) -> bool:
    return face.get("status") == "doubtful"


def total_energy(face: dict) -> float | None:
    """The sum of a face's energy terms; None where there are none or one is not a number."""
    values = list((face.get("energies") or {}).values())
    return finite(sum(values)) if values and all(isinstance(value, (int, float)) for value in values) else None


def _text(value: str | None) -> str | None:
    """File names may hold bytes that are no UTF-8; Parquet's strings may not."""
    return None if value is None else value.encode("utf-8", "replace").decode()
