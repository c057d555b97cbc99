"""What an attack may not do is seen: a check that finds nothing would be the suite's worst bug."""

import os

import pytest

from fuzz.inputs import Attack
from fuzz.page import BEGIN, END, Tally, rows, write
from fuzz.sets import mixed
from fuzz.watch import Outcome, watched, wrong_words

ERROR = "facefit: error: x.jpg: damaged\n"


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (4, ERROR, ""), (0, "", ""), (4, "", "0 lines"), (4, ERROR * 2, "2 lines"), (1, ERROR, "exit code 1"),
        (5, "facefit: error: KeyError: 'x' (--debug shows where)\n", "a raw error"), (0, "hm\n", "1 lines"),
        (5, "Traceback (most recent call last):\nKeyError: 'x'\n", "a raw error"), (4, "x.jpg: damaged\n", "1 lines"),
    ],
)  # fmt: skip
def test_words(code, text, words):
    wrong = wrong_words(code, text, frozenset({0, 4, 5}))
    assert not wrong if not words else any(words in each for each in wrong)


def look(folder, run, outputs=()):
    return "; ".join(watched(Attack(run, outputs=outputs), folder).problems)


def test_what_is_left_and_what_is_changed(tmp_path):
    photo, out = tmp_path / "photo.jpg", tmp_path / "out"
    photo.write_bytes(b"photo")
    out.mkdir()

    def refuse():
        os.write(2, ERROR.encode())
        return 4

    def half():
        (out / "m.obj").write_text("v")
        return refuse()

    def spoil():
        photo.write_bytes(b"other")
        return refuse()

    assert look(tmp_path, refuse) == ""
    assert look(tmp_path, lambda: 0, (out / "m.obj",)) == "left []; expected ['m.obj']"
    assert look(tmp_path, half) == "left ['m.obj']; expected []"
    assert look(tmp_path, lambda: 0, (out / "m.obj",)) == ""
    (out / "m.obj").unlink()
    assert look(tmp_path, spoil) == "an input was changed"
    assert "raised KeyError" in look(tmp_path, lambda: {}["x"])


def test_memory_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.watch.LARGEST", 1)
    assert "GB of memory" in look(tmp_path, lambda: 0)


def test_sets():
    files = ("m.obj", "m.mtl", "m.json")
    assert mixed(dict.fromkeys(files, "a")) == []
    assert mixed(dict(zip(files, ("a", "a or b", "a"), strict=True))) == []
    for states in (("a", "a", "b"), ("a", "a", "torn"), ("a", "a", "missing"), ("missing",) * 3, ("torn",) * 3):
        assert len(mixed(dict(zip(files, states, strict=True)))) == 1


def test_the_table_is_written_between_its_marks(tmp_path):
    tally = Tally()
    for outcome in (Outcome((), 4, 5 * 10**8), Outcome(("a hang",), None, 10**9)):
        tally.add(outcome)
    lines = rows({"pictures": tally})
    assert lines[2] == "| pictures | 2 | 2 |  | 1 | 1.00 | 4: 1, None: 1 |" and lines[3].startswith(
        "| all | 2 | 2 | 0 | 1 |"
    )
    page = tmp_path / "page.md"
    page.write_text(f"# Head\n\n{BEGIN}\nold\n{END}\n\nFoot\n")
    for _ in range(2):
        write(lines, page)
        assert page.read_text() == f"# Head\n\n{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}\n\nFoot\n"
    page.write_text("# Head\n")
    with pytest.raises(ValueError, match="lacks the lines"):
        write(lines, page)
