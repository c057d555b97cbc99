"""Files that get their names together or not at all: through errors, signals, kills at every point, other writers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from facefit.errors import OutputError
from facefit.files import together
from facefit.files.together import HOME, JOURNAL, PREFIX, Area, recover, write_together

needs_locks = pytest.mark.skipif(not together.HAVE_LOCKS, reason="no locks on this system")

# writes the set NEW over the set OLD and dies at the K-th change of a name, before or after it: a process for each line
KILLED = """
import json, os, sys
from pathlib import Path
from facefit.files.together import Area, write_together
def write(at, when, area, names):
    calls = 0
    def dying(change):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == at and when == "before":
                os._exit(9)
            change(*arguments, **options)
            if calls == at:
                os._exit(9)
        return call
    for name in ("replace", "link", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
    place = Area(Path(area) / ".partial", Path(area)) if area else None
    write_together({Path(name): b"new " + name.encode() for name in names}, place)
    return calls
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        print(write(*json.loads(line)), end=" ", flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killed():
    """Call it with `at`, `when`, the names and an area -> the exit code, and how many changes there are."""
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def write(at, when, names, area=""):
            print(json.dumps([at, when, str(area), [str(name) for name in names]]), file=process.stdin, flush=True)
            *calls, code = map(int, process.stdout.readline().split())
            assert code in (0, 9)
            return code, sum(calls)

        yield write
        process.stdin.close()


def hidden(*folders):
    return [path for folder in folders for path in folder.rglob(f"{PREFIX}*")]


def kinds(names):
    return {path.read_bytes().split()[0] for path in names}


def test_all_are_there_and_nothing_else(tmp_path):
    write_together({tmp_path / "a.obj": b"1", tmp_path / "a.json": b"2"})
    write_together({tmp_path / "a.obj": b"3", tmp_path / "b.obj": b"4"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.obj": b"3", "a.json": b"2", "b.obj": b"4",
    }  # fmt: skip
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a.obj").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("links", (True, False))
@pytest.mark.parametrize("at", (1, 2, 3))
def test_an_error_leaves_what_was_there(tmp_path, monkeypatch, at, links):
    names = [tmp_path / name for name in ("a", "b", "c")]
    for name in names[:2]:
        name.write_bytes(b"old")
    real, calls = os.replace, []

    def wrong(source, target):
        calls.append(target)
        if len(calls) == at + 1:  # the journal has the first one
            raise OSError(28, "No space left on device")
        real(source, target)

    def no_links(*_, **__):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "replace", wrong)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(OutputError, match=f"{names[at - 1].name}: No space left on device"):
        write_together({name: b"new" for name in names})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "b": b"old"}


@needs_locks
@pytest.mark.parametrize("places", ("one folder", "two folders", "an area"))
def test_killed_at_every_point_and_then_made_whole(tmp_path, killed, places):
    """A set that a kill has cut is never left so by the next write: all of it is there, or nothing of it."""
    second = tmp_path / ("other" if places == "two folders" else "")
    second.mkdir(exist_ok=True)
    names = [tmp_path / "m.obj", second / "m.png", tmp_path / "m.json"]
    area = tmp_path if places == "an area" else ""
    if area:
        (tmp_path / ".partial").mkdir()
    for name in names:
        name.write_bytes(b"old set")
    _, points = killed(0, "never", names, area)
    assert points >= 2 * len(names) + 2
    seen = set()
    for when, at in [("before", k) for k in range(1, points + 1)] + [("after", points)]:
        for name in names:
            name.write_bytes(b"old set")
        assert killed(at, when, names, area)[0] == 9
        between = kinds(names)
        if area:
            recover(Area(tmp_path / ".partial", tmp_path))
        else:
            write_together({second / "something else": b"new"})
            write_together({tmp_path / "something else": b"new"})
        assert len(kinds(names)) == 1, (when, at)
        if b"new" in between:
            assert kinds(names) == {b"new"}
        assert not hidden(tmp_path), (when, at)
        seen.add((len(between), *kinds(names)))
    assert seen == {(1, b"old"), (1, b"new"), (2, b"new")}  # so there were cuts


@needs_locks
def test_a_cut_set_is_completed_before_the_next_one_takes_its_names(tmp_path, killed):
    names = [tmp_path / name for name in ("a", "b", "c")]
    for name in names:
        name.write_bytes(b"old")
    assert killed(5, "before", names)[0] == 9  # journal, link a, replace a, link b
    assert kinds(names) == {b"old", b"new"}
    write_together({names[0]: b"newest", names[1]: b"newest"})
    assert [name.read_bytes().split()[0] for name in names] == [b"newest", b"newest", b"new"]


@needs_locks
def test_what_a_living_process_writes_is_left_alone(tmp_path, monkeypatch):
    """Another write in the same folder neither sweeps nor completes the set that is being written."""
    real = together._write

    def slow(path, data):
        real(path, data)
        monkeypatch.setattr(together, "_write", real)
        write_together({tmp_path / "other": b"x"})

    monkeypatch.setattr(together, "_write", slow)
    write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "other"]


@needs_locks
def test_a_strangers_journal_does_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "mine").write_bytes(b"mine")
    for number, text in enumerate((
        '[["", 0, "../mine"]]', f'[["", 0, "{tmp_path / "mine"}"]]', f'[["{tmp_path}", 0, "mine"]]', "[[", "{}", "[1]",
        '[["", "x", "mine"]]', "null", '[["", 0, ""]]', "[" * 100_000, '[["", 0, "\\u0000"]]', "\xff",
    )):  # fmt: skip
        folder = tmp_path / "in" / f"{PREFIX}{number}"
        folder.mkdir()
        (folder / "0").write_bytes(b"theirs")
        (folder / JOURNAL).write_text(text, encoding="latin1")
    (tmp_path / "in" / f"{PREFIX}link").symlink_to(tmp_path)
    pointing = tmp_path / "in" / f"{PREFIX}pointing"
    pointing.mkdir()
    (pointing / HOME).write_bytes(os.fsencode(tmp_path))
    write_together({tmp_path / "in" / "a": b"1"})
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == [f"{PREFIX}link", "a"]


@needs_locks
@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_a_signal_between_two_names_waits(tmp_path, monkeypatch, number):
    names = [tmp_path / name for name in ("a", "b", "c")]
    real = os.replace

    def interrupted(source, target):
        real(source, target)
        if target == names[0]:
            os.kill(os.getpid(), number)
            time.sleep(0.01)

    def end(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    before = signal.signal(number, end)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_together({name: b"new" for name in names})
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert sorted(tmp_path.iterdir()) == names


def test_ctrl_c_before_the_names_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_together({tmp_path / "a": b"1"})
    assert list(tmp_path.iterdir()) == []


@needs_locks
@pytest.mark.parametrize("moment", ("tempfile.mkdtemp", "shutil.rmtree"))
def test_ctrl_c_while_a_hidden_folder_comes_or_goes_leaves_none(tmp_path, monkeypatch, moment):
    module, name = moment.split(".")
    real = getattr(sys.modules[module], name)

    def interrupted(*arguments, **options):
        if name == "rmtree":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        result = real(*arguments, **options)
        if name == "mkdtemp":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        return result

    monkeypatch.setattr(moment, interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_together({tmp_path / "a": b"1"})
    finally:
        signal.signal(signal.SIGINT, before)
    assert [path.name for path in tmp_path.iterdir()] == ["a"] * (name == "rmtree")


# one of two writers of the same files, which start together ROUNDS times
WRITER = """
import sys, time
from pathlib import Path
from facefit.files.together import write_together
folder, mine, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for k in range(rounds):
    (folder / f"ready{k}{mine}").touch()
    while not all((folder / f"ready{k}{who}").exists() for who in "AB"):
        time.sleep(0)
    write_together({folder / "out" / name: f"{mine}{k}".encode() for name in ("m.obj", "m.mtl", "m.png", "m.json")})
    (folder / f"done{k}{mine}").touch()
    while not (folder / f"seen{k}").exists():
        time.sleep(0.001)
"""
ROUNDS = 40


@needs_locks
def test_two_writers_do_not_mix(tmp_path):
    (tmp_path / "out").mkdir()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, who, str(ROUNDS)]) for who in "AB"]
    mixed = []
    for k in range(ROUNDS):
        end = time.monotonic() + 60
        while not all((tmp_path / f"done{k}{who}").exists() for who in "AB"):
            assert time.monotonic() < end and not any(writer.poll() for writer in writers)
            time.sleep(0.001)
        texts = {path.read_text() for path in (tmp_path / "out").iterdir()}
        mixed += [k] * (texts not in ({f"A{k}"}, {f"B{k}"}))
        assert len(list((tmp_path / "out").iterdir())) == 4
        (tmp_path / f"seen{k}").touch()
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert mixed == []


def test_a_folder_that_somebody_keeps(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(together, "locked_folders", lambda folders: _impatient(folders))
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another program"):
            write_together({tmp_path / "a": b"1"})
    finally:
        os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


def _impatient(folders):
    from facefit.files.locks import locked_folders

    return locked_folders(folders, patience=0.1)


def test_a_name_of_bytes(tmp_path):
    name = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.obj"))
    write_together({name: b"1"})
    assert name.read_bytes() == b"1"


def test_nothing_to_write_is_nothing(tmp_path):
    write_together({})
    write_together({}, Area(tmp_path, tmp_path))
    assert list(tmp_path.iterdir()) == []
