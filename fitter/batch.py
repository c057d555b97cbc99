"""Folders, in the plain way: one photo after another in one process, a failure never stops the rest.

`manifest.jsonl` in the output folder gets one line per photo as soon as it is done, so that an interrupted run goes on
where it stopped. The last line of a photo counts:

| key | meaning |
|---|---|
| `photo` | path in the input folder, with `/` |
| `bytes`, `modified` | of the photo's file; when they change it is fitted again |
| `status` | `done` or `failed` |
| `exit_code`, `error` | what `facefit fit` would have returned and said; 0 and null when done |
| `seconds` | wall time |
| `outputs` | paths in the output folder, each face's mesh first |
| `faces` | per face: `mesh`, `energies`, `part_iou`, `landmark_error`, `status` |
| `settings` | options that decide what is written; with others the photo is fitted again |
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fitter.errors import FaceFitError, ImageError, OutputError

if TYPE_CHECKING:
    from fitter.job import Fitted

log = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
PHOTO_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2",
    ".avif",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One photo of a batch, as the manifest's table says. `status` "skipped" is told to the user, not written."""

    photo: str
    bytes: int
    modified: float
    status: str
    exit_code: int = 0
    error: str | None = None
    seconds: float = 0.0
    outputs: list[str] = field(default_factory=list)
    faces: list[dict] = field(default_factory=list)
    settings: dict = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """What is wrong, in few words: without the photo's name, and without what would be right."""
        return (self.error or "").split(f"{self.photo}: ", 1)[-1].split("; ")[0]


def find_photos(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """Photos in a folder and its subfolders, by suffix in any case, sorted; without hidden ones and `leave_out`.

    Raises:
        ImageError: no such folder, not a folder, unreadable, or no photo in it.
    """
    if not folder.exists():
        raise ImageError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ImageError(f"{folder}: is not a folder; for one photo leave out `batch`")

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise ImageError(f"{folder}: {error.strerror}")
        log.warning("%s: %s; left out", error.filename, error.strerror)

    hidden = None if leave_out is None else leave_out.resolve()
    photos = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (Path(parent) / f).resolve() != hidden)
        photos += [
            Path(parent) / name
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES
        ]
    if not photos:
        raise ImageError(f"{folder}: no photo in it; looked for {' '.join(PHOTO_SUFFIXES)}")
    return photos


def mesh_names(photos: list[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """Photo -> its mesh, relative to the output folder; no two photos share a file, numbered faces included.

    `sub/ann.jpg` becomes `sub/ann.obj`. Where that is ambiguous in a folder (ann.jpg beside ann.png, beside ANN.jpg on
    a disk that ignores case, or beside ann_1.jpg, which could be ann's first face) every photo of that folder keeps its
    own suffix in the name: `sub/ann_jpg.obj`.
    """
    groups: dict[Path, list[Path]] = {}
    for photo in photos:
        groups.setdefault(photo.parent, []).append(photo)
    names: dict[Path, Path] = {}
    for parent, group in groups.items():
        below = parent.relative_to(folder)
        stems = Counter(photo.stem.lower() for photo in group)
        ambiguous = any(count > 1 for count in stems.values()) or any(
            _without_number(stem) in stems for stem in stems if _without_number(stem) != stem
        )
        used: set[str] = set()
        for photo in group:
            name = f"{photo.stem}_{photo.suffix[1:]}" if ambiguous else photo.stem
            while name.lower() in used:  # ann.jpg beside ANN.JPG
                name += "_"
            used.add(name.lower())
            names[photo] = below / f"{name}{suffix}"
    return names


def _without_number(stem: str) -> str:
    """ann_1 and ann_texture -> ann: names that files of ann may take."""
    head, _, tail = stem.rpartition("_")
    return head if head and (tail.isdigit() or tail in ("texture", "overlay", "labels")) else stem


def read_manifest(path: Path) -> dict[str, Record]:
    """The last record of each photo. A line cut off by a crash is left aside.

    Raises:
        OutputError: the file cannot be read.
    """
    records: dict[str, Record] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}") from None
    for line in filter(None, lines):
        try:
            record = Record(**json.loads(line))
            records[str(record.photo)] = record
        except (ValueError, TypeError):
            log.warning("%s: a line that is no record was left aside", path)
    return records


@dataclass(frozen=True)
class Task:
    """One photo of a batch before it is fitted.

    Attributes:
        photo: its path; `key`: the same in the manifest.
        mesh: where its mesh goes.
        bytes, modified: of the photo's file.
        done: the record of an earlier run that still holds, or None.
    """

    photo: Path
    key: str
    mesh: Path
    bytes: int
    modified: float
    done: Record | None = None


def plan_batch(
    folder: Path, output: Path, suffix: str = ".obj", overwrite: bool = False, settings: dict | None = None
) -> list[Task]:
    """What is to be done for every photo of a folder; makes the output folder.

    Args:
        folder: photos, subfolders included.
        output: gets the same subfolders; made when missing.
        suffix: of the meshes.
        overwrite: fit photos again that the manifest calls done.
        settings: JSON values; a photo that was done under others is fitted again.
    Raises:
        ImageError: no photos. OutputError: the output folder cannot be used.
    """
    if output.exists() and folder.exists() and output.resolve() == folder.resolve():
        raise OutputError(f"{output}: is the folder of the photos; choose another, textures would become photos")
    photos = find_photos(folder, leave_out=output)
    _make_folder(output)
    before = read_manifest(output / MANIFEST)
    taken = {name: record.photo for record in before.values() if record.status == "done" for name in record.outputs[:1]}
    tasks = []
    for photo, name in mesh_names(photos, folder, suffix).items():
        key = photo.relative_to(folder).as_posix()
        while taken.get(name.as_posix(), key) != key:  # an earlier run gave this name to another photo
            name = name.with_name(f"{name.stem}_{suffix}")
        size, modified = _stamp(photo)
        past = before.get(key)
        holds = not overwrite and past is not None and past.settings == (settings or {})
        holds = holds and _is_done(past, output, size, modified, suffix)
        tasks.append(Task(photo, key, output / name, size, modified, past if holds else None))
    return tasks


def run_batch(
    tasks: Iterable[Task], output: Path, work: Callable[[Task], list[Fitted]], settings: dict | None = None,
    debug: bool = False,
) -> Iterator[Record]:  # fmt: skip
    """Fit photos one after another; yields each record once it is in the manifest.

    Args:
        tasks, output: from `plan_batch`.
        work: fits and writes one photo; raises what `facefit fit` raises.
        settings: as given to `plan_batch`.
        debug: log the traceback of failed photos.
    Raises:
        OutputError: the manifest cannot be written. A failed photo raises nothing.
    """
    for task in tasks:
        if task.done is not None:
            yield replace(task.done, status="skipped")
            continue
        start = time.perf_counter()
        try:
            _make_folder(task.mesh.parent)
            outcome = _outcome(work(task), output)
        except FaceFitError as error:
            outcome = {"status": "failed", "exit_code": error.exit_code, "error": one_line(error)}
            log.debug("%s failed", task.photo, exc_info=debug)
        except Exception as error:  # whatever it is, the other photos are still to be done
            outcome = {"status": "failed", "exit_code": 5, "error": f"{type(error).__name__}: {one_line(error)}"}
            log.debug("%s failed", task.photo, exc_info=debug)
        seconds = round(time.perf_counter() - start, 3)
        record = Record(task.key, task.bytes, task.modified, seconds=seconds, settings=settings or {}, **outcome)
        _append(output / MANIFEST, record)
        yield record


def _outcome(fitted: list[Fitted], output: Path) -> dict:
    return {
        "status": "done",
        "outputs": [path.relative_to(output).as_posix() for face in fitted for path in face.paths],
        "faces": [
            {
                "mesh": face.paths[0].relative_to(output).as_posix(),
                "energies": face.energies,
                "part_iou": face.part_iou,
                "landmark_error": face.landmark_error,
                "status": face.status,
            }
            for face in fitted
        ],
    }


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _stamp(photo: Path) -> tuple[int, float]:
    try:
        status = photo.stat()
    except OSError:  # gone, or a dead link: reading it says so
        return 0, 0.0
    return status.st_size, status.st_mtime


def _is_done(record: Record, output: Path, size: int, modified: float, suffix: str) -> bool:
    return (
        record.status == "done"
        and (record.bytes, record.modified) == (size, modified)
        and bool(record.outputs)
        and record.outputs[0].endswith(suffix)
        and all((output / name).is_file() for name in record.outputs)
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be made ({error.strerror or error})") from None


def _append(manifest: Path, record: Record) -> None:
    line = json.dumps(asdict(record)) + "\n"
    try:
        with manifest.open("a+b") as stream:
            # a line that a crash cut off must not swallow this one
            if stream.seek(0, os.SEEK_END):
                stream.seek(-1, os.SEEK_END)
                line = line if stream.read(1) == b"\n" else "\n" + line
            stream.write(line.encode())
    except OSError as error:
        raise OutputError(f"{manifest}: {error.strerror or error}") from None
