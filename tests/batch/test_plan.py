"""What is to be done, and what of an earlier run still holds."""

import os
from dataclasses import replace

import pytest

from facefit.batch.folder_store import FolderStore
from facefit.batch.manifest import Record
from facefit.batch.plan import list_batch, plan_batch
from facefit.errors import ImageError, OutputError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpeg", "b.JPG", "sub/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"photo")
    return tmp_path / "in"


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "out")


def work(folder, store, fails=(), **options):
    """Plan, and do what is to be done; the keys of that."""
    done = []
    for task in plan_batch(list_batch([folder], store), store, **options):
        if not task.to_do:
            continue
        done.append(task.key)
        settings = options.get("settings") or {}
        record = Record(task.key, task.bytes, task.modified, "failed", 3, "no face", settings=settings)
        if task.key not in fails:
            store.write({task.mesh: b"mesh"})
            record = replace(record, status="done", exit_code=0, error=None, outputs=[task.mesh], output_bytes=[4])
        store.remember(record)
    return done


def test_once_is_enough(folder, store):
    assert work(folder, store) == ["a.jpeg", "b.JPG", "sub/a.png"]
    assert work(folder, store) == []
    assert work(folder, store, overwrite=True) == ["a.jpeg", "b.JPG", "sub/a.png"]


def test_failures_are_tried_again_when_asked(folder, store):
    assert len(work(folder, store, fails={"b.JPG"})) == 3
    assert work(folder, store) == []
    assert work(folder, store, fails={"b.JPG"}, retry_failed=True) == ["b.JPG"]
    assert work(folder, store, retry_failed=True) == ["b.JPG"]
    assert work(folder, store, retry_failed=True) == []


def test_what_the_machine_is_to_blame_for_is_done_by_the_next_run(folder, store):
    work(folder, store, fails={"a.jpeg", "b.JPG", "sub/a.png"})
    records = store.records()
    store.remember(replace(records["a.jpeg"], final=False))
    store.remember(replace(records["b.JPG"], exit_code=6, error="No space left"))  # as earlier versions have it
    assert work(folder, store) == ["a.jpeg", "b.JPG"]


def test_done_holds_only_as_long_as_nothing_changed(folder, store):
    work(folder, store, fails={"sub/a.png"})
    (store.root / "a.obj").unlink()
    (folder / "b.JPG").write_bytes(b"another photo")
    os.utime(folder / "sub/a.png", (1, 1))
    assert work(folder, store) == ["a.jpeg", "b.JPG", "sub/a.png"]
    assert work(folder, store, suffix=".glb") == ["a.jpeg", "b.JPG", "sub/a.png"]


@pytest.mark.parametrize("content", [b"", b"mes", b"mesh and more"])
def test_a_result_of_another_size_does_not_count(folder, store, content):
    work(folder, store)
    (store.root / "sub/a.obj").write_bytes(content)
    assert work(folder, store) == ["sub/a.png"]


def test_other_settings(folder, store):
    for faces, count in (("1", 3), ("1", 0), ("all", 3)):
        assert len(work(folder, store, settings={"faces": faces})) == count


def test_a_new_photo_does_not_take_the_name_of_an_old_one(tmp_path, store):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a_jpg.png").write_bytes(b"1")
    work(folder, store)
    for name in ("a.jpg", "a.png"):
        (folder / name).write_bytes(b"2")
    assert work(folder, store) == ["a.jpg", "a.png"]
    assert len({record.outputs[0] for record in store.records().values()}) == 3


def test_a_dead_link_is_a_task(tmp_path, store):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    task = plan_batch(list_batch([tmp_path / "in"], store), store)[0]
    assert task.to_do and (task.bytes, task.modified) == (0, 0.0)


def test_thumbnails_are_made_for_what_lacks_them(folder, store):
    work(folder, store)
    records = store.records()
    store.remember(replace(records["a.jpeg"], faces=[{"mesh": "a.obj"}]))
    store.write({"b_thumbnail.jpg": b"x"})
    store.remember(replace(records["b.JPG"], faces=[{"mesh": "b.obj", "thumbnail": "b_thumbnail.jpg"}]))
    tasks = plan_batch(list_batch([folder], store), store, thumbnails=True)
    assert [(task.key, task.to_do) for task in tasks] == [("a.jpeg", True), ("b.JPG", False), ("sub/a.png", False)]
    assert tasks[0].past is not None
    assert not any(task.to_do for task in plan_batch(list_batch([folder], store), store))


def test_a_folder_is_a_person(folder, store):
    def plan():
        photos = list_batch([folder], store, group_by="folder")
        return plan_batch(photos, store, ".glb", settings={"group_by": "folder"}, people=True)

    (folder / "dr.smith").mkdir()
    (folder / "dr.smith" / "c.png").write_bytes(b"third photo")
    (folder / "sub" / "b.png").write_bytes(b"2")
    tasks = {task.key: task for task in plan()}
    assert {key: task.mesh for key, task in tasks.items()} == {
        "in": "in.glb", "dr.smith": "dr.smith.glb", "sub": "sub.glb",
    }  # fmt: skip
    task = tasks["sub"]
    assert task.names == ["sub/a.png", "sub/b.png"] and task.bytes == 6 and len(task.files) == 3
    store.write({task.mesh: b"mesh"})
    store.remember(
        Record("sub", task.bytes, task.modified, "done", settings={"group_by": "folder"}, outputs=["sub.glb"],
               output_bytes=[4], photos=task.names)
    )  # fmt: skip
    assert [task.key for task in plan() if task.to_do] == ["in", "dr.smith"]
    (folder / "sub" / "b.png").rename(folder / "sub" / "c.png")  # another album of the same size
    assert "sub" in [task.key for task in plan() if task.to_do]


def test_bad_folders(folder, store, tmp_path):
    with pytest.raises(ImageError, match="no such folder"):
        plan_batch(list_batch([tmp_path / "none"], store), store)
    assert not store.root.exists()
    with pytest.raises(OutputError, match="folder of the photos"):
        plan_batch(list_batch([folder], FolderStore(folder)), FolderStore(folder))
    with pytest.raises(OutputError, match="cannot be made"):
        plan_batch(list_batch([folder], FolderStore(folder / "a.jpeg" / "out")), FolderStore(folder / "a.jpeg" / "out"))
