"""The contact sheet: every face and every failure, numbers, links that work from where the page lies."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from facefit.batch.folder_store import FolderStore
from facefit.batch.manifest import Record
from facefit.batch.sheet import sheet_html, write_sheet
from facefit.errors import OutputError


class Page(HTMLParser):
    """Rows with their values, links and pictures."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.links, self.pictures, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "tr" and "data-values" in attributes:
            self.rows.append((attributes["class"], json.loads(attributes["data-values"])))
        if tag == "a":
            self.links.append(unquote(attributes["href"]))
        if tag == "img":
            self.pictures.append(unquote(attributes["src"]))

    def handle_data(self, data):
        self.words.append(data)


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
    page = Page(sheet_html(RECORDS))
    assert [(kind, values["energy"]) for kind, values in page.rows] == [
        ("failed", None), ("failed", None), ("ok", 30.0), ("ok", 20.0), ("ok", 10.0),
    ]  # fmt: skip
    text = "".join(page.words)
    assert "4 photos, 3 faces, 2 photos failed" in text and "no <face> found" in text and "1.50" in text
    assert "<two & 'more'>.jpg" in text
    assert not re.findall(r"@\w+@", sheet_html(RECORDS))


def test_links_lead_from_the_page_to_the_results(tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (tmp_path / "pages").mkdir()
    write_sheet(RECORDS, store, tmp_path / "pages" / "sheet.html")
    page = Page((tmp_path / "pages" / "sheet.html").read_text())
    assert page.links == ["../out/#two%_1.obj", "../out/#two%_2.obj", "../out/sub/good.obj"]
    assert page.pictures[:2] == ["../out/wall_thumbnail.jpg", "../out/#two%_1_thumbnail.jpg"]
    assert all(not Path(link).is_absolute() and "://" not in link for link in page.links + page.pictures)


def test_doubtful_fits_stand_below_the_failures():
    doubtful = {**face(1, 1.0, "odd.obj"), "status": "doubtful"}
    text = sheet_html([*RECORDS, Record("odd.jpg", 1, 1.0, "done", faces=[doubtful])])
    page = Page(text)
    assert [kind for kind, _ in page.rows] == ["failed", "failed", "doubtful", "ok", "ok", "ok"]
    assert "4 faces, 2 photos failed, 1 faces doubtful" in text and "doubtful" in page.words


def test_an_empty_batch_and_a_missing_folder(tmp_path):
    assert "0 photos, 0 faces" in sheet_html([])
    store = FolderStore(tmp_path / "out")
    store.prepare()
    with pytest.raises(OutputError, match="does not exist"):
        write_sheet(RECORDS, store, tmp_path / "none" / "sheet.html")
