"""Downloads against a server of our own: whole, resumed, damaged, refused, and no server at all."""

import contextlib
import hashlib
import threading
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from facefit.errors import ModelError
from facefit.importers import download as module
from facefit.importers.download import checksum, expected_files, fetch
from facefit.model.catalogue import KINDS, Download

CONTENT = {"a.obj": bytes(range(256)) * 900, "b.obj": b"v 1 2 3\n" * 5000}


@pytest.fixture
def server():
    """(base URL, what was asked for as (name, Range))."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name, wanted = self.path.rsplit("/", 1)[1], self.headers.get("Range")
            asked.append((name, wanted))
            data = CONTENT.get(name)
            if data is None:
                return self.send_error(404, "Not Found")
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if start >= len(data):
                return self.send_error(416, "Range Not Satisfiable")
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:])

        def log_message(self, *words):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/model/", asked
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def sums(**changes):
    real = {name: "sha256:" + hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()}
    return real | changes


def test_all_files_come_and_come_once(server, tmp_path):
    base, asked = server
    seen = []
    where = fetch(Download(base, 1, files=sums()), tmp_path / "new", lambda *state: seen.append(state))
    assert where == tmp_path / "new"
    assert {path.name: path.read_bytes() for path in where.iterdir()} == CONTENT
    assert seen[-1] == (sum(map(len, CONTENT.values())), 2, 2)
    asked.clear()
    fetch(Download(base, 1, files=sums()), tmp_path / "new")
    assert asked == []  # what is there and whole is not fetched again


def test_resumed_where_it_stopped(server, tmp_path):
    base, asked = server
    (tmp_path / "a.obj.part").write_bytes(CONTENT["a.obj"][:1000])
    (tmp_path / "b.obj.part").write_bytes(CONTENT["b.obj"])  # all there, only not renamed yet
    fetch(Download(base, 1, files=sums(), target="a.obj"), tmp_path)
    assert sorted(asked) == [("a.obj", "bytes=1000-"), ("b.obj", f"bytes={len(CONTENT['b.obj'])}-")]
    assert (tmp_path / "a.obj").read_bytes() == CONTENT["a.obj"] and not list(tmp_path.glob("*.part"))


def test_another_file_than_was_published_is_thrown_away(server, tmp_path):
    base, _ = server
    with pytest.raises(ModelError, match="a.obj: not the file that was published"):
        fetch(Download(base, 1, files={"a.obj": "sha256:" + "0" * 64}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_server_that_does_not_stop(tmp_path, monkeypatch):
    """What arrives is bounded while it arrives, whatever the server says of its length."""
    sent = []

    class Endless(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while len(sent) < 1000:
                    sent.append(self.wfile.write(bytes(1 << 16)))

        def log_message(self, *words):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    largest = []
    try:
        download = Download(f"http://127.0.0.1:{httpd.server_port}/", 1, files={"a.obj": "sha256:0"})
        with pytest.raises(ModelError, match="more than the 1 MB"):
            fetch(download, tmp_path, lambda received, *_: largest.append(received))
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
    assert max(largest) <= 1.5e6 and not list(tmp_path.iterdir())


def test_a_part_that_is_too_large_is_thrown_away(server, tmp_path):
    base, _ = server
    with (tmp_path / "a.obj.part").open("wb") as part:
        part.truncate(2_000_000)
    with pytest.raises(ModelError, match="more than the 1 MB"):
        fetch(Download(base, 1, files={"a.obj": "sha256:0"}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_checksum_does_not_take_the_file_into_memory(tmp_path):
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(50_000_000)
    for kind in ("git", "sha256"):
        tracemalloc.start()
        checksum(tmp_path / "large", kind)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000


def test_the_server_refuses(server, tmp_path):
    base, _ = server
    with pytest.raises(ModelError, match="404"):
        fetch(Download(base, 1, files={"c.obj": "sha256:0"}), tmp_path)


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with pytest.raises(ModelError, match="is this machine online"):
        fetch(Download("http://127.0.0.1:9/", 1, files=sums()), tmp_path)


def test_gits_name_of_a_file(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert checksum(tmp_path / "hello", "git") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_what_can_be_downloaded_is_what_the_reader_reads():
    from facefit.importers.readers.ict import EXPRESSIONS, IDENTITY

    files = expected_files(KINDS["ict"].download)
    read = ("generic_neutral_mesh", *(f"identity{k:03d}" for k in range(IDENTITY)), *EXPRESSIONS)
    assert tuple(files) == tuple(f"{name}.obj" for name in read)
    assert all(len(value) == 64 + 7 for value in files.values())
    for kind in KINDS.values():
        if kind.download is not None:
            assert kind.download.base.startswith("https://") and kind.download.base.endswith("/")
            assert kind.download.target in ("", *expected_files(kind.download))
