"""The contact sheet: every face and every failure, numbers, links that work from where the page lies."""

import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from facefit.batch.folder_store import FolderStore
from facefit.batch.manifest import Record
from facefit.batch.sheet import sheet_html, write_sheet
from facefit.errors import OutputError


def rows_of(text):
    """The rows that the page holds, by column."""
    (data,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', text, re.DOTALL)
    table = json.loads(data)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["faces"]]


def face(number, energy, mesh):
    return {"face": number, "status": "converged", "error": None, "mesh": mesh, "energies": {"prdl": energy},
            "part_iou": 0.8, "landmark_error": 0.015, "seconds": 1.25,
            "thumbnail": mesh.replace(".obj", "_thumbnail.jpg")}  # fmt: skip


RECORDS = [
    Record("sub/good.jpg", 1, 1.0, "done", faces=[face(1, 10.0, "sub/good.obj")]),
    Record("<two & 'more'>.jpg", 1, 1.0, "done", faces=[face(1, 30.0, "#two%_1.obj"), face(2, 20.0, "#two%_2.obj")]),
    Record("wall.png", 1, 1.0, "failed", 3, "wall.png: no <face> found", 0.5, thumbnail="wall_thumbnail.jpg"),
    Record("bytes\udcff.jpg", 1, 1.0, "failed", 4, "damaged"),
]


def test_rows_and_their_order():
    text = sheet_html(RECORDS)
    rows = rows_of(text)
    assert [(row["kind"], row["energy"], row["face"]) for row in rows] == [
        ("failed", None, None), ("failed", None, None), ("good", 10.0, None), ("good", 30.0, 1), ("good", 20.0, 2),
    ]  # fmt: skip
    assert rows[0]["error"] == "no <face> found" and rows[2]["landmark_error"] == 0.015
    assert "4 photos, 3 faces, 2 photos failed" in text and rows[3]["photo"] == "<two & 'more'>.jpg"
    assert not re.findall(r"@\w+@", text)
    assert "<face>" not in text and "<two" not in text  # names are no markup


def test_links_lead_from_the_page_to_the_results(tmp_path):
    """And to the page of a face, where there is one."""
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (tmp_path / "pages").mkdir()
    (tmp_path / "out" / "sub").mkdir()
    (tmp_path / "out" / "sub" / "good.html").touch()
    write_sheet(RECORDS, store, tmp_path / "pages" / "sheet.html")
    rows = rows_of((tmp_path / "pages" / "sheet.html").read_text())
    meshes = [unquote(row["mesh"]) for row in rows if row["mesh"]]
    assert meshes == ["../out/sub/good.obj", "../out/#two%_1.obj", "../out/#two%_2.obj"]
    assert [row["viewer"] for row in rows if row["viewer"]] == ["../out/sub/good.html"]
    pictures = [row["thumbnail"] for row in rows if row["thumbnail"]]
    assert [unquote(name) for name in pictures[:3]] == [
        "../out/wall_thumbnail.jpg", "../out/sub/good_thumbnail.jpg", "../out/#two%_1_thumbnail.jpg",
    ]  # fmt: skip
    assert "#" not in "".join(pictures) and not any(Path(name).is_absolute() or "://" in name for name in pictures)


def test_pages_in_a_store_that_cannot_be_asked_are_those_that_a_record_names():
    (good,) = (record for record in RECORDS if record.photo == "sub/good.jpg")
    listed = replace(good, outputs=["sub/good.obj", "sub/good.html"])
    assert [row["viewer"] for row in rows_of(sheet_html([good, listed]))] == [None, "sub/good.html"]


def test_doubtful_fits_stand_below_the_failures():
    doubtful = {**face(1, 1.0, "odd.obj"), "status": "doubtful"}
    text = sheet_html([*RECORDS, Record("odd.jpg", 1, 1.0, "done", faces=[doubtful])])
    assert [row["kind"] for row in rows_of(text)] == ["failed", "failed", "doubtful", "good", "good", "good"]
    assert "4 faces, 2 photos failed, 1 faces doubtful" in text


def test_an_empty_batch_and_a_missing_folder(tmp_path):
    assert "0 photos, 0 faces" in sheet_html([])
    store = FolderStore(tmp_path / "out")
    store.prepare()
    with pytest.raises(OutputError, match="does not exist"):
        write_sheet(RECORDS, store, tmp_path / "none" / "sheet.html")
