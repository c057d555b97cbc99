"""The contact sheet of a batch: one HTML page to scan for bad fits, sortable, with pictures that lie beside the meshes.

A row per face: photo, mesh over the photo, geometry, and the numbers of the manifest; photos that failed with the
reason. The page needs no network and no server; its pictures and links are relative, so it can be moved together with
the results.
"""

from __future__ import annotations

import html
import importlib.resources
import json
import os
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..files.outputs import check_outputs, write_files
from .folder_store import FolderStore
from .manifest import Record, total_energy
from .store import Store

# Heading, key of the numbers below, digits, factor; sorted by the first one at the start, the worst on top.
COLUMNS = (
    ("energy", "energy", 1, 1.0),
    ("landmarks %", "landmark_error", 2, 100.0),
    ("part IoU", "part_iou", 3, 1.0),
    ("seconds", "seconds", 1, 1.0),
)

KINDS = ("failed", "doubtful", "ok")  # classes of rows, in their order at the start


def write_sheet(records: Iterable[Record], store: Store, path: Path) -> None:
    """Write the page; in an object store `path` is its name there. Raises OutputError."""
    if not isinstance(store, FolderStore):
        store.write({path.as_posix(): sheet_html(records).encode()})
        return
    write_files({path: sheet_html(records, os.path.relpath(store.root, path.parent)).encode()})


def check_sheet(store: Store, path: Path) -> None:
    """Refuse before the batch what could not be written after it. Raises OutputError."""
    if isinstance(store, FolderStore):
        check_outputs([path], [])


def sheet_html(records: Iterable[Record], root: str = ".") -> str:
    """The page.

    Args:
        root: the folder of the results as seen from the page.
    """
    records = list(records)
    rows = [row for record in records for row in _rows(record)]
    page = importlib.resources.files(__package__).joinpath("sheet.html").read_text(encoding="utf-8")
    failed = sum(record.status == "failed" for record in records)
    doubtful = sum(row["kind"] == "doubtful" for row in rows)
    counts = f"{len(records)} photos, {sum(row['kind'] != 'failed' for row in rows)} faces, {failed} photos failed"
    counts += f", {doubtful} faces doubtful" if doubtful else ""
    rows.sort(key=lambda row: (KINDS.index(row["kind"]), -(row["energy"] or 0)))
    heads = "".join(f'<th data-key="{key}">{title}</th>' for title, key, _, _ in COLUMNS)
    body = "\n".join(_row_html(row, root) for row in rows)
    return page.replace("@counts@", counts).replace("@heads@", heads).replace("@rows@", body)


def _rows(record: Record) -> Iterable[dict]:
    for face in record.faces or [{}]:
        error = face.get("error") or (None if face.get("mesh") else record.reason or "no mesh")
        yield {
            "photo": record.photo,
            "face": face.get("face") if len(record.faces) > 1 else None,
            "kind": "failed" if error is not None else "doubtful" if face.get("status") == "doubtful" else "ok",
            "error": error,
            "status": face.get("status", "failed"),
            "mesh": face.get("mesh"),
            "thumbnail": face.get("thumbnail") or (record.thumbnail if not face else None),
            "energy": total_energy(face),
            "energies": face.get("energies") or {},
            "landmark_error": face.get("landmark_error"),
            "part_iou": face.get("part_iou"),
            "seconds": face.get("seconds", record.seconds),
        }


def _row_html(row: dict, root: str) -> str:
    name = _escape(row["photo"]) + (f" <b>{row['face']}</b>" if row["face"] else "")
    link = f'<a href="{_link(root, row["mesh"])}">{name}</a>' if row["mesh"] else name
    picture = ""
    if row["thumbnail"]:
        picture = f'<img loading="lazy" src="{_link(root, row["thumbnail"])}" alt="{_escape(row["photo"])}">'
    note = _escape(row["error"] or row["status"])
    if row["energies"]:
        terms = sorted(row["energies"].items(), key=lambda item: -(item[1] or 0))
        detail = ", ".join(f"{name} {'?' if value is None else format(value, '.3g')}" for name, value in terms)
        note += f'<div class="terms">{_escape(detail)}</div>'
    cells = "".join(
        f"<td>{'' if row[key] is None else format(row[key] * factor, f'.{digits}f')}</td>"
        for _, key, digits, factor in COLUMNS
    )
    values = {key: row[key] for _, key, _, _ in COLUMNS}
    values |= {"photo": _text(row["photo"]), "kind": KINDS.index(row["kind"])}
    return (
        f'<tr class="{row["kind"]}" data-values="{_escape(json.dumps(values))}"><td class="picture">{picture}</td>'
        f'<td class="name">{link}<div class="note">{note}</div></td>{cells}</tr>'
    )


def _link(root: str, name: str) -> str:
    path = Path(root, name).as_posix()
    return _escape(quote(path.encode("utf-8", "surrogateescape")))


def _text(text: str) -> str:
    """File names may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


def _escape(text: str) -> str:
    return html.escape(_text(str(text)))
