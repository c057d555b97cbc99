"""Where results go: a folder, and an object store through fsspec (here one that keeps files)."""

import pickle
import stat

import pytest

from facefit.batch.folder_store import LOCK, PARTIAL, FolderStore
from facefit.batch.manifest import MANIFEST, Record, parse_manifest
from facefit.batch.object_store import RECORDS, FsspecStore
from facefit.batch.store import open_store
from facefit.errors import OutputError

pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "fsspec"])
def store(request, tmp_path):
    out = tmp_path / "out"
    store = open_store(out if request.param == "folder" else f"local://{out}")
    store.prepare()
    return store


def record(name, **values):
    return Record(name, 1, 2.0, "done", **values)


def test_kinds(tmp_path):
    assert isinstance(open_store(tmp_path), FolderStore) and isinstance(open_store("C:/out"), FolderStore)
    assert open_store(f"file://{tmp_path}").root == tmp_path
    assert isinstance(open_store("s3://bucket/meshes/"), FsspecStore)
    assert open_store("s3://bucket/meshes/").url == "s3://bucket/meshes"


def test_write(store, tmp_path):
    contents = {"sub/deeper/a.obj": b"mesh", "b.png": b""}
    store.write(contents)
    store.write({"b.png": b"again"})
    assert (tmp_path / "out/sub/deeper/a.obj").read_bytes() == b"mesh"
    assert (tmp_path / "out/b.png").read_bytes() == b"again"
    assert stat.S_IMODE((tmp_path / "out/b.png").stat().st_mode) & 0o044 == 0o044
    store.prepare()
    assert (store.size("b.png"), store.size("sub/deeper/a.obj"), store.size("none")) == (5, 4, None)


def test_records_and_collecting(store, tmp_path):
    assert store.records() == {}
    odd = "new\nline/\u00fc\udcff.jpg"
    for name in ("a.jpg", odd, "a.jpg"):
        store.remember(record(name, seconds=float(len(store.records()))))
    assert {name: value.seconds for name, value in store.records().items()} == {"a.jpg": 2.0, odd: 1.0}
    store.collect(store.records().values())
    assert not (tmp_path / "out" / RECORDS).exists() and not (tmp_path / "out" / PARTIAL).exists()
    assert set(parse_manifest((tmp_path / "out" / MANIFEST).read_text())) == {"a.jpg", odd}
    store.remember(record("a.jpg", seconds=9.0))
    assert store.records()["a.jpg"].seconds == 9.0 and len(store.records()) == 2


def test_it_travels(store):
    store.write({"a": b"1"})
    other = pickle.loads(pickle.dumps(store))
    other.write({"b": b"2"})
    store.prepare()
    assert store.size("b") == 1


def test_what_a_killed_run_left_is_swept(tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (store.root / PARTIAL / "tmp123").mkdir(parents=True)
    (store.root / PARTIAL / "tmp123" / "0").write_bytes(b"half a me")
    with store.lock():
        assert [path.name for path in store.root.iterdir()] == [LOCK]


def test_what_another_batch_is_writing_is_not_swept(tmp_path):
    one, other = FolderStore(tmp_path / "out"), FolderStore(tmp_path / "out")
    with one.lock():
        one.prepare()
        (one.root / PARTIAL / "tmp123").mkdir(parents=True)
        other.prepare()
        with pytest.raises(OutputError, match="another batch"), other.lock():
            pass
        assert (one.root / PARTIAL / "tmp123").is_dir()


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (store.root / "b.png").mkdir()
    with pytest.raises(OutputError, match="b.png"):
        store.write({"a.obj": b"mesh", "b.png": b"picture"})
    assert not (store.root / "a.obj").exists()
    (store.root / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        store.write({"file/a.obj": b"mesh"})


def test_an_input_is_not_overwritten(tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (tmp_path / "photo.png").write_bytes(b"photo")
    (store.root / "a.png").symlink_to(tmp_path / "photo.png")
    with pytest.raises(OutputError, match="overwrite the input"):
        store.write({"a.png": b"texture"}, [tmp_path / "photo.png"])
    assert (tmp_path / "photo.png").read_bytes() == b"photo"


def test_a_second_batch_is_kept_out(tmp_path):
    one, other = FolderStore(tmp_path / "out"), FolderStore(tmp_path / "out")
    one.prepare()
    with one.lock():
        with pytest.raises(OutputError, match="another batch"), other.lock():
            pass
    with other.lock():
        pass


def test_unknown_stores_are_one_line():
    with pytest.raises(OutputError, match="nosuch://x"):
        open_store("nosuch://x").prepare()


@pytest.mark.parametrize("name", ("../a.obj", "/a.obj", "sub/../../a.obj", "", "."))
def test_names_outside_of_the_folder_are_refused(tmp_path, name):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    with pytest.raises(OutputError, match="not the name of a file in"):
        store.write({name: b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and not list((tmp_path / "out").iterdir())


def test_the_lock_follows_no_link_and_leaves_what_is_there(tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (store.root / LOCK).symlink_to(victim)
    with pytest.raises(OutputError, match="symbolic link"), store.lock():
        pass
    (store.root / LOCK).unlink()
    (store.root / LOCK).hardlink_to(victim)
    with store.lock():
        pass
    assert victim.read_bytes() == b"mine"
    (store.root / LOCK).unlink()
    (store.root / LOCK).mkdir()
    with pytest.raises(OutputError, match=LOCK), store.lock():
        pass
