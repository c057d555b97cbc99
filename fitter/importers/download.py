"""Fetching the files of a published model: resumed where they stopped, checked before they count."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..bundled import model_path
from ..errors import ModelError
from ..model.catalogue import Download

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 3
THREADS = 4
BLOCK = 1 << 16
SLACK = 1.5  # times the size that is known of a download, which is rounded; no more bytes than that are taken

Progress = Callable[[int, int, int], None]  # bytes so far, files done, files


def download_folder(name: str) -> Path:
    """Where the files of a model are kept between runs: a broken download goes on from there."""
    from platformdirs import user_cache_path

    return user_cache_path("facefit", appauthor=False) / "downloads" / name


def expected_files(download: Download) -> dict[str, str]:
    """Name -> checksum."""
    if not download.sums:
        return dict(download.files)
    lines = (model_path().parent / download.sums).read_text(encoding="ascii").splitlines()
    return {name: f"sha256:{digest}" for digest, name in (line.split(None, 1) for line in lines if line.strip())}


def fetch(download: Download, folder: Path, progress: Progress | None = None) -> Path:
    """Bring all files into the folder; those that are there already and whole are not fetched again.

    Returns:
        what the reader is to be given.
    Raises:
        ModelError: no connection, the server refuses or sends too much, or a file is not the one that was published.
    """
    files = expected_files(download)
    folder.mkdir(parents=True, exist_ok=True)
    lock, state = threading.Lock(), {"bytes": 0, "done": 0}
    stop = threading.Event()
    most = int(SLACK * download.megabytes * 1e6)

    def count(received: int, done: int) -> None:
        with lock:
            state["bytes"] += received
            state["done"] += done
            if state["bytes"] > most:
                raise _TooMuchError(f"{download.base}: sends more than the {download.megabytes} MB that were published")
            if progress is not None:
                progress(state["bytes"], state["done"], len(files))

    def one(name: str) -> None:
        if stop.is_set():
            return
        try:
            _fetch_one(download.base + name, folder / name, files[name], lambda received: count(received, 0), stop)
        except BaseException:
            stop.set()  # the rest would fail in the same way
            raise
        count(0, 1)

    with ThreadPoolExecutor(min(THREADS, len(files))) as pool:
        try:
            for job in [pool.submit(one, name) for name in files]:
                job.result()
        except BaseException:
            stop.set()
            raise
    return folder / download.target if download.target else folder


def checksum(path: Path, kind: str) -> str:
    """`sha256` of a file, or `git`, the id of its blob."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if kind == "git":  # what git calls the file: SHA-1 of a header and the content
            size = os.fstat(stream.fileno()).st_size
            digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        return hashlib.file_digest(stream, lambda: digest).hexdigest()


def _matches(path: Path, expected: str) -> bool:
    kind, _, value = expected.partition(":")
    return checksum(path, kind) == value


class _TooMuchError(ModelError):
    """A server does not stop."""


def _fetch_one(url: str, path: Path, expected: str, received: Callable[[int], None], stop: threading.Event) -> None:
    if path.is_file() and _matches(path, expected):
        received(path.stat().st_size)
        return
    part = path.with_name(path.name + ".part")
    if part.is_file():
        _received_before(part, received)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(url, part, received, stop)
            break
        except _TooMuchError:
            part.unlink(missing_ok=True)
            raise
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing is missing
                break
            raise ModelError(f"{url}: the server answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            if attempt == ATTEMPTS or stop.is_set():
                raise ModelError(
                    f"cannot download {url} ({reason}); is this machine online? what is here already is kept: run it "
                    "again, or fetch the files elsewhere and give their folder as PATH"
                ) from None
    if stop.is_set():
        return
    if not _matches(part, expected):
        part.unlink()
        raise ModelError(f"{url}: not the file that was published (checksum differs); it was thrown away, run it again")
    part.replace(path)


def _received_before(part: Path, received: Callable[[int], None]) -> None:
    try:
        received(part.stat().st_size)
    except _TooMuchError:
        part.unlink()
        raise


def _continue(url: str, part: Path, received: Callable[[int], None], stop: threading.Event) -> None:
    """Append to `part` what it lacks of the file at the URL."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "facefit"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        again = have and answer.status != 206  # the server starts over
        if again:
            received(-have)
        with open(part, "wb" if again else "ab") as out:
            while block := answer.read(BLOCK):
                received(len(block))  # before it is kept: a server may never stop
                out.write(block)
                if stop.is_set():
                    return
        length = answer.headers.get("Content-Length")
        if length is not None and part.stat().st_size < int(length) + (0 if again else have):
            raise OSError("the connection broke off")
