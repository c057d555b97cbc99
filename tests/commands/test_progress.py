"""What a running fit shows on a terminal, in a file, and when asked to be quiet."""

import io
import os
import signal
import threading

from facefit.commands.batch import _interrupts
from facefit.commands.progress import BatchProgress, FitProgress, largest


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drive(stream, **options):
    with FitProgress("photo.jpg", stream=stream, **options) as progress:
        for iteration in range(1, 4):
            progress("rigid", iteration, 3, {"landmark": 4.0 / iteration})
        progress("full", 1, 200, {"landmark": 0.5, "prdl": 2.0})
    return stream.getvalue()


def test_the_largest_energies_in_words():
    energies = {"a": 1.0, "b": -20.0, "c": 0.001234, "d": 3.0, "e": 5.0}
    assert largest(energies, limit=3) == "b -20  e 5  d 3"
    assert largest({}) == ""


def test_a_line_per_stage():
    assert drive(io.StringIO()) == "photo.jpg: rigid 3/3  landmark 1.33\nphoto.jpg: full 1/200  prdl 2  landmark 0.5\n"


def test_quiet():
    assert drive(io.StringIO(), quiet=True) == "" and drive(Terminal(), quiet=True) == ""


def test_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    text = drive(Terminal())
    assert "photo.jpg" in text and "prdl 2" in text and "1/200" in text
    assert "rigid 3/3  landmark" not in text  # no lines beside the bar


def test_an_error_ends_the_bar_and_leaves_no_line():
    stream = io.StringIO()
    try:
        with FitProgress("x", stream=stream) as progress:
            progress("full", 1, 2, {})
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert stream.getvalue() == ""


class Interrupting(io.RawIOBase):
    """A file; Ctrl-C comes while the first line is written to it."""

    def __init__(self, handle):
        self.handle, self.lines = handle, 0

    def writable(self):
        return True

    def fileno(self):
        return self.handle

    def write(self, data):
        self.lines += 1
        if self.lines == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return os.write(self.handle, data)


def test_ctrl_c_while_a_line_is_written(tmp_path):
    stop = threading.Event()
    with (tmp_path / "shown").open("wb") as file:
        stream = io.TextIOWrapper(io.BufferedWriter(Interrupting(file.fileno())))
        with BatchProgress(2, stream=stream) as progress, _interrupts(stop, progress):
            progress.say("a.jpg: done")
            progress.say("b.jpg: done")
        stream.flush()
    lines = (tmp_path / "shown").read_text().splitlines()
    assert stop.is_set() and sorted(lines)[:2] == ["a.jpg: done", "b.jpg: done"]
    assert len(lines) == 3 and "interrupted: the photos under way are finished" in sorted(lines)[2]
