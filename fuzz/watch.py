"""One attack in a worker process, looked at from all sides: what it said, what it left, what it took."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facefit.batch.manifest import read_manifest

from .inputs import Attack

LARGEST = 1_500_000_000  # bytes of memory at the worst moment of any attack
RAW = "(--debug shows where)"  # how the command line ends the line of an error that facefit does not know


@dataclass(frozen=True)
class Outcome:
    """problems: what is wrong, empty where all is well; code: the exit code; bytes: of memory; seconds: it took."""

    problems: tuple[str, ...]
    code: int | None = None
    bytes: int = 0
    seconds: float = 0.0


def watched(attack: Attack, folder: Path) -> Outcome:
    """Run an attack whose files lie in that folder."""
    out = folder / "out"
    before = digests(folder, out)
    began = time.monotonic()
    with peak_memory() as peak, tempfile.TemporaryFile() as said:
        code, crash = _told(attack.run, said)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    problems = crash + wrong_words(code, text, attack.codes, attack.outputs is None)
    if digests(folder, out) != before:
        problems.append("an input was changed")
    problems += _batch_left(out) if attack.outputs is None else _left(out, attack.outputs, code)
    if peak() > LARGEST:
        problems.append(f"{peak() / 1e9:.2f} GB of memory")
    return Outcome(tuple(problems), code, peak(), time.monotonic() - began)


def _told(run: Callable[[], int], said) -> tuple[int | None, list[str]]:
    """The exit code, with what the process writes on stdout and stderr, C libraries too, kept in a file."""
    with tempfile.TemporaryFile() as shown, _redirected(1, shown.fileno()), _redirected(2, said.fileno()):
        try:
            return run(), []
        except BaseException as error:  # whatever it is, the command should have told it in a line
            return None, [f"raised {type(error).__name__}: {str(error)[:300]}"]


def wrong_words(code: int | None, text: str, codes: frozenset[int], batch: bool = False) -> list[str]:
    """What is wrong with an exit code and the lines on stderr."""
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = []
    if "Traceback" in text or RAW in text:
        wrong.append("a raw error: " + " | ".join(lines[-3:])[-600:])
    if code is not None and code not in codes:
        wrong.append(f"exit code {code}; right are {sorted(codes)}: {' | '.join(lines[-2:])[-300:]}")
    if batch and code == 130 and text.startswith("interrupted; ") and len(lines) == 1:
        return wrong
    if code and not (batch and code == 7):
        if len(lines) != 1 or not lines[0].startswith("facefit: error: "):
            wrong.append(f"{len(lines)} lines on stderr: {' | '.join(lines[:3])[:300]}")
    elif code == 0 and lines:
        wrong.append(f"exit code 0 and {len(lines)} lines on stderr: {' | '.join(lines[:3])[:300]}")
    return wrong


def digests(folder: Path, without: Path | None = None) -> dict[str, str]:
    """Name -> digest of every file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not (without and path.is_relative_to(without))]
    return {str(path): _digest(path) for path in paths}


def _digest(path: Path) -> str:
    """Of a file of zeros as long as a disk: its size and time."""
    status = path.stat()
    if status.st_size > 100 << 20:
        return f"{status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder: Path) -> set[str]:
    """Of all files and folders below, hidden ones too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} if folder.is_dir() else set()


def _left(out: Path, outputs: tuple[Path, ...], code: int | None) -> list[str]:
    expected = {path.relative_to(out).as_posix() for path in outputs} if code == 0 else set()
    found = names(out)
    return [] if found == expected else [f"left {sorted(found)}; expected {sorted(expected)}"]


def _batch_left(out: Path) -> list[str]:
    """What a batch has left that ran to its end: what its manifest names, whole, and nothing hidden."""
    wrong = [f"left {name}" for name in names(out) if "/." in f"/{name}" and name != ".lock"]
    for record in read_manifest(out / "manifest.jsonl").values() if out.is_dir() else ():
        if not any(os.path.isfile(base / record.photo) for base in (out.parent, out.parent / "photos")):
            continue  # of a photo that is not of this batch: a damaged line may say anything of it
        for name, size in zip(record.outputs, record.output_bytes, strict=False):
            path = out / name
            if record.status == "done" and (not path.is_file() or path.stat().st_size != size):
                wrong.append(f"{record.photo} is done and {name} is not there in its size")
    return wrong


@contextlib.contextmanager
def _redirected(descriptor: int, to: int) -> Iterator[None]:
    before = os.dup(descriptor)
    os.dup2(to, descriptor)
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Gives a function: bytes of this process's memory at the worst moment since the block began."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
    except OSError:
        yield lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return

    def peak() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    yield peak
