"""Which photos: folders, patterns, lists in text, CSV and Parquet, single photos, several of them."""

import logging
import os
from pathlib import Path

import pytest
from PIL import Image

from facefit.errors import ImageError
from facefit.files.read_picture import FORMATS
from facefit.photo.list_file import read_list
from facefit.photo.photo_list import PHOTO_SUFFIXES, find_photos, list_photos, photo_key


@pytest.fixture
def folder(tmp_path):
    """Photos (empty files do: nothing is decoded here) in two folders, among other things."""
    root = tmp_path / "in"
    for name in ("b.JPG", "a.jpeg", "sub/a.png", "sub/deeper/x.TIF", "notes.txt", ".hidden.jpg", ".cache/y.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"photo")
    return root


def keys(*sources, **options):
    return [photo.key for photo in list_photos(sources, **options)]


def test_every_ending_of_an_accepted_format_is_looked_for():
    Image.init()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert known - {".jpm"} <= set(PHOTO_SUFFIXES) | {".pnm", ".pfm"}


def test_folder_in_any_case_and_depth(folder):
    assert keys(folder) == ["a.jpeg", "b.JPG", "sub/a.png", "sub/deeper/x.TIF"]


def test_what_cannot_be_read_is_named(folder, caplog):
    (folder / "camera.CR2").write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "facefit.photo.photo_list"):
        assert len(keys(folder)) == 4
    assert "1 .cr2, 1 .txt (camera.CR2, notes.txt)" in caplog.text
    for source in (folder, folder / "*"):
        ignored = []
        keys(source, ignored=ignored.append)
        assert [path.name for path in ignored] == ["camera.CR2", "notes.txt"]


def test_the_output_inside_is_left_out(folder):
    (folder / "out").mkdir()
    (folder / "out" / "a_texture.png").write_bytes(b"texture")
    assert len(keys(folder, leave_out=folder / "out")) == 4
    assert len(keys(folder / "**" / "*.png", leave_out=folder / "out")) == 1


def test_pattern(folder, monkeypatch):
    assert keys(folder / "**" / "*.[pT]*") == ["sub/a.png", "sub/deeper/x.TIF"]
    assert keys(folder / "sub" / "*") == ["a.png"]
    monkeypatch.chdir(folder)
    assert keys("*.JPG") == ["b.JPG"]


def test_a_file_whose_name_looks_like_a_pattern(folder):
    (folder / "[x].jpg").write_bytes(b"1")
    assert keys(folder / "[x].jpg") == ["[x].jpg"]


def test_several_sources_count_from_their_common_folder(folder, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.jpeg").write_bytes(b"1")
    assert keys(folder, tmp_path / "more") == ["in/a.jpeg", "in/b.JPG", "in/sub/a.png", "in/sub/deeper/x.TIF",
                                               "more/a.jpeg"]  # fmt: skip
    assert keys(folder / "b.JPG", folder / "sub" / "a.png", folder) == [
        "b.JPG", "sub/a.png", "a.jpeg", "sub/deeper/x.TIF",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "# people\nb.JPG\n\n  sub/a.png \nmissing.jpg\n"),
        ("list.csv", "name,Path\nann,b.JPG\nbob,sub/a.png\nnobody,missing.jpg\n"),
        ("list.csv", "b.JPG\nsub/a.png\nmissing.jpg\n"),
        ("list.csv", '"b.JPG",1\r\n"sub/a.png",2\r\n"missing.jpg",3\r\n'),
        ("list.tsv", "id\tphoto\n1\tb.JPG\n2\tsub/a.png\n3\tmissing.jpg\n"),
    ],
)
def test_lists(folder, name, text):
    (folder / name).write_text(text)
    assert keys(folder / name) == ["b.JPG", "sub/a.png", "missing.jpg"]


@pytest.mark.parametrize("column", ["image", "any"])
def test_parquet_list(folder, column):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"id": [1, 2, 3], column: ["b.JPG", "sub/a.png", None]})
    parquet.write_table(table, folder / "list.parquet")
    assert keys(folder / "list.parquet") == ["b.JPG", "sub/a.png"]
    named = pyarrow.table({"photo": ["b.JPG", "x.jpg"], "who": [7, 8]})
    parquet.write_table(named, folder / "grouped.parquet")
    assert [entry.group for entry in read_list(folder / "grouped.parquet", "who")] == ["7", "8"]
    parquet.write_table(pyarrow.table({"one": ["a"], "two": ["b"]}), folder / "list.parquet")
    with pytest.raises(ImageError, match="expected one of photo"):
        read_list(folder / "list.parquet")
    (folder / "list.parquet").write_text("no table")
    with pytest.raises(ImageError, match="not a Parquet file"):
        read_list(folder / "list.parquet")


def test_folders_are_groups(folder):
    found = {photo.key: photo.group for photo in list_photos([folder], group_by="folder")}
    assert found["b.JPG"] == folder.name and found["sub/a.png"] == "sub"
    (folder / folder.name).mkdir()
    (folder / folder.name / "c.png").write_bytes(b"photo")
    found = {photo.key: photo.group for photo in list_photos([folder], group_by="folder")}
    assert found["b.JPG"] != found[f"{folder.name}/c.png"] == folder.name


def test_absolute_paths_and_duplicates_in_lists(folder, tmp_path):
    other = tmp_path / "lists"
    other.mkdir()
    (other / "list.txt").write_text(f"{folder}/b.JPG\n../in/b.JPG\n../lists/x.jpg\n")
    assert keys(other / "list.txt") == [(folder / "b.JPG").as_posix(), "x.jpg"]


def test_a_photo_has_the_key_of_its_place(tmp_path):
    assert photo_key(Path("in/sub/a.jpg"), Path("in")) == "sub/a.jpg"
    assert photo_key(Path("a.jpg"), Path("in")) == Path(os.path.abspath("a.jpg")).as_posix()


@pytest.mark.parametrize(
    ("source", "word"),
    [("none", "no such folder"), ("none.jpg", "no such file"), ("in/*.webp", "no photo fits"), ("empty", "no photo"),
     ("empty.txt", "no photo in this list")],
)  # fmt: skip
def test_sources_without_photos(folder, tmp_path, source, word):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ImageError, match=word):
        list_photos([tmp_path / source])


def test_not_a_folder(folder):
    with pytest.raises(ImageError, match="not a folder"):
        find_photos(folder / "a.jpeg")
    with pytest.raises(ImageError, match="no photos"):
        list_photos([])
