"""The contact sheet of a batch: one HTML page to scan for bad fits, with pictures that lie beside the meshes.

A card for each face: photo, textured head and clay, the light of `facefit.fit.verdict` (good, doubtful, failed) and the
numbers of the manifest; photos that failed with the reason. Only the cards in sight exist, so that 10,000 are no
trouble. A card leads to the page of its face, where there is one. The sheet needs no network and no server; its
pictures and links are relative, so it can be moved together with the results.
"""

from __future__ import annotations

import importlib.resources
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from ..files.outputs import check_outputs, write_files
from .folder_store import FolderStore
from .manifest import Record, total_energy
from .store import Store

KINDS = ("failed", "doubtful", "good")  # in their order at the start

COLUMNS = (
    "photo", "face", "kind", "error", "mesh", "viewer", "thumbnail", "landmark_error", "part_iou", "energy", "seconds",
    "energies",
)  # fmt: skip
_DIGITS = 5  # of the numbers in the page


def write_sheet(records: Iterable[Record], store: Store, path: Path) -> None:
    """Write the page; in an object store `path` is its name there. Raises OutputError."""
    if not isinstance(store, FolderStore):
        store.write({path.as_posix(): sheet_html(records).encode()})
        return
    root = store.root
    page = sheet_html(records, os.path.relpath(root, path.parent), lambda name: (root / name).is_file())
    write_files({path: page.encode()})


def check_sheet(store: Store, path: Path) -> None:
    """Refuse before the batch what could not be written after it. Raises OutputError."""
    if isinstance(store, FolderStore):
        check_outputs([path], [])


def sheet_html(records: Iterable[Record], root: str = ".", there: Callable[[str], bool] | None = None) -> str:
    """The page.

    Args:
        root: the folder of the results as seen from the page.
        there: whether a file of the results is there; None: those are that a record names.
    """
    records = list(records)
    rows = [row for record in records for row in _rows(record, root, there)]
    kinds = [row["kind"] for row in rows]
    failed = sum(record.status == "failed" for record in records)
    people = sum(bool(record.photos) for record in records)
    counts = f"{len(records) - people} photos, {sum(kind != 'failed' for kind in kinds)} faces, {failed} photos failed"
    if people == len(records) and records:
        counts = f"{people} people of {sum(len(record.photos) for record in records)} photos, {failed} failed"
    doubtful = kinds.count("doubtful")
    counts += f", {doubtful} {'faces ' * (not people)}doubtful" if doubtful else ""
    rows.sort(key=lambda row: KINDS.index(row["kind"]))
    table = {"columns": COLUMNS, "faces": [[row[name] for name in COLUMNS] for row in rows]}
    # in a script element nothing but "</script" and "<!--" means something
    data = json.dumps(table, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = importlib.resources.files(__package__).joinpath("sheet.html").read_text(encoding="utf-8")
    return page.replace("@counts@", counts).replace("@rows@", data)


def _rows(record: Record, root: str, there: Callable[[str], bool] | None) -> Iterable[dict]:
    for face in record.faces or [{}]:
        mesh, thumbnail = face.get("mesh"), face.get("thumbnail") or (record.thumbnail if not face else None)
        error = face.get("error") or (None if mesh else record.reason or "no mesh")
        viewer = PurePosixPath(mesh).with_suffix(".html").as_posix() if mesh else None
        known = viewer is not None and (viewer in record.outputs if there is None else there(viewer))
        yield {
            "photo": _text(record.photo),
            "face": face.get("face") if len(record.faces) > 1 else None,
            "kind": "failed" if error is not None else "doubtful" if face.get("status") == "doubtful" else "good",
            "error": error and _text(error),
            "mesh": mesh and _link(root, mesh),
            "viewer": _link(root, viewer) if viewer and known else None,
            "thumbnail": thumbnail and _link(root, thumbnail),
            "landmark_error": _short(face.get("landmark_error")),
            "part_iou": _short(face.get("part_iou")),
            "energy": _short(total_energy(face)),
            "seconds": _short(face.get("seconds", record.seconds)),
            "energies": {_text(name): _short(value) for name, value in (face.get("energies") or {}).items()},
        }


def _link(root: str, name: str) -> str:
    return quote(Path(root, name).as_posix().encode("utf-8", "surrogateescape"))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _text(text: str) -> str:
    """File names may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()
