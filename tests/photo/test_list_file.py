"""Lists of photos: what others write into them, and bad lines that cost nothing but themselves."""

import codecs
import os
import time

import pytest

from facefit.errors import ImageError
from facefit.photo.list_file import read_list
from facefit.photo.photo_list import list_photos


def names(path):
    return [entry.path.name for entry in read_list(path) if not entry.problem]


def problems(path):
    return {entry.line: entry.problem for entry in read_list(path) if entry.problem}


def test_a_column_says_what_photos_belong_to(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("Who,photo\nann,a.jpg\n bob ,b.jpg\nann,c.jpg\n,d.jpg\n")
    assert [(entry.path.name, entry.group) for entry in read_list(path, "who") if not entry.problem] == [
        ("a.jpg", "ann"), ("b.jpg", "bob"), ("c.jpg", "ann"),
    ]  # fmt: skip
    (bad,) = [entry for entry in read_list(path, "who") if entry.problem]
    assert "line 5: has nothing in column 'who'" in bad.problem
    path.write_text("who,picture\nann,a.jpg\n")
    assert [(entry.path.name, entry.group) for entry in read_list(path, "who")] == [("a.jpg", "ann")]
    with pytest.raises(ImageError, match=r"no column 'name'; its first line has 'who', 'picture'"):
        read_list(path, "name")
    (tmp_path / "list.txt").write_text("a.jpg\n")
    with pytest.raises(ImageError, match="no column 'who'; expected a .csv"):
        read_list(tmp_path / "list.txt", "who")
    with pytest.raises(ImageError, match="has no column 'who'"):
        list_photos([tmp_path], group_by="who")


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
@pytest.mark.parametrize(
    "coded",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ],
)
def test_codings(tmp_path, suffix, coded):
    (tmp_path / f"list{suffix}").write_bytes(coded("Zoë.jpg\r\nsub/b.jpg\r\n雪.png\r\n"))
    assert names(tmp_path / f"list{suffix}") == ["Zoë.jpg", "b.jpg", "雪.png"]
    assert not problems(tmp_path / f"list{suffix}")


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_a_bad_line_is_that_lines_failure(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_bytes(b"a.jpg\nb\0.jpg\n\xff\xfe\xe9.jpg\n" + b"x" * 5000 + b"\n" + b"y" * 200_000 + b"\nc.jpg\n")
    assert names(path) == ["a.jpg", "c.jpg"]
    found = problems(path)
    assert list(found) == [2, 3, 4, 5]
    assert all(text.startswith(f"{path}: line {line}: ") for line, text in found.items())
    assert "NUL" in found[2] and "UTF-8" in found[3] and "4096" in found[4]
    assert ("131072" if suffix == ".csv" else "4096") in found[5]


def test_a_name_that_is_no_text_is_read_where_it_is_there(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / name).write_bytes(b"photo")
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.jpg\n")
    assert names(tmp_path / "list.txt") == [name]


def test_a_quote_that_is_never_closed_swallows_no_photos(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('photo,note\na.jpg,"two\nlines"\nb.jpg,"never closed\nc.jpg,fine\nd.jpg,fine\n')
    assert names(path) == ["a.jpg", "c.jpg", "d.jpg"]
    assert list(problems(path)) == [4] and "never closed" in problems(path)[4]


def test_swallowed_lines_beyond_the_limit_come_back(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('photo,note\na.jpg,"never closed\n' + "".join(f"{k}.jpg,fine\n" for k in range(12_000)))
    began = time.process_time()
    assert len(names(path)) == 12_000
    assert list(problems(path)) == [2]
    assert time.process_time() - began < 10


def test_a_row_without_the_photos_field(tmp_path):
    (tmp_path / "list.csv").write_text("id,photo\n1,a.jpg\n2\n3,b.jpg\n4,\n")
    assert names(tmp_path / "list.csv") == ["a.jpg", "b.jpg"]
    assert list(problems(tmp_path / "list.csv")) == [3]


def test_a_huge_list_is_not_read(tmp_path):
    with (tmp_path / "list.txt").open("wb") as stream:
        stream.truncate((1 << 28) + 1)
    with pytest.raises(ImageError, match="list has up to"):
        read_list(tmp_path / "list.txt")


def test_a_list_of_more_lines_than_memory_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("facefit.photo.list_file.MOST_LINES", 3)
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\nc.jpg\n")
    assert len(read_list(tmp_path / "list.txt")) == 3
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\nc.jpg\n\n")
    with pytest.raises(ImageError, match="4 lines; a list has up to 3, give several"):
        read_list(tmp_path / "list.txt")


def test_bad_lines_have_keys_of_their_own(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a.jpg\nb\0\nc\0\n")
    photos = list_photos([tmp_path / "list.txt"])
    assert [photo.key for photo in photos] == ["a.jpg", "list.txt:2", "list.txt:3"]
    assert [bool(photo.problem) for photo in photos] == [False, True, True]
