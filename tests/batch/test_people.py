"""A person of a batch: what is asked of the fitter, what the manifest says, and what goes wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facefit.batch import people as module
from facefit.batch.folder_store import FolderStore
from facefit.batch.manifest import parse_record
from facefit.batch.options import BatchOptions, PeopleOptions
from facefit.batch.plan import list_batch, plan_batch
from facefit.batch.steps import Stages
from facefit.errors import NoFaceError
from facefit.fit.summary import Summary
from facefit.job.options import JobOptions
from facefit.output.style import FileStyle
from facefit.person.person import LeftOut, PersonFitter


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "ann").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "in" / "ann" / name)
    return tmp_path


@pytest.fixture
def made(folder, toy_model, monkeypatch):
    """The stages of a batch whose fitter is a stand-in: `fits` are the summaries of the members."""
    fits = [Summary("converged", {"prdl": 2.0}, {"nose": 0.5}, 0.01, {}),
            Summary("doubtful", {"prdl": 3.0}, {"nose": 0.7}, 0.13, {})]  # fmt: skip
    asked = []

    def fit(fitter, photos):
        asked.append((fitter, photos))
        if not fits:
            raise NoFaceError("none of 3 photos shows a face")
        members = tuple(SimpleNamespace(result=SimpleNamespace(summary=one, status=one.status)) for one in fits)
        return SimpleNamespace(members=members, best=members[0], left_out=(LeftOut("ann/c.png", "no face found"),))

    def contents(person, files):
        names = [files.mesh, *([files.pictures / "01_a_overlay.png"] if files.pictures else []), *files.further]
        return {name: b"1234" for name in names}

    monkeypatch.setattr(PersonFitter, "fit", fit)
    monkeypatch.setattr(module, "person_contents", contents)
    store = FolderStore(folder / "out")
    job = SimpleNamespace(
        instruments=SimpleNamespace(model=toy_model),
        faces="largest",
        focal=None,
        fov=20.0,
        style=FileStyle(),
        inputs=(),
    )
    options = BatchOptions(
        JobOptions(), str(store.root), overlay=True, thumbnails=True, settings={"a": 1},
        people=PeopleOptions(static=True, detail=False),
    )  # fmt: skip
    photos = list_batch([folder / "in"], store, group_by="folder")
    (task,) = plan_batch(photos, store, ".glb", settings={"a": 1}, people=True)
    return SimpleNamespace(stages=Stages(options, job, store), task=task, asked=asked, fits=fits, photos=photos)


def test_a_person_has_one_record(made, folder):
    record = made.stages.whole(made.task)
    ((fitter, photos),) = made.asked
    assert fitter.sharing.static and not fitter.detail and fitter.fov == 20.0
    assert [photo.name for photo in photos] == ["ann/a.png", "ann/b.png", "ann/c.png"]
    assert record.status == "done" and record.doubtful  # one of the two
    assert record.outputs == ["ann.glb", "ann_overlays/01_a_overlay.png"] and record.output_bytes == [4, 4]
    (face,) = record.faces
    assert face["energies"] == {"prdl": 5.0} and face["part_iou"] == pytest.approx(0.6)
    assert face["thumbnail"] == "ann_thumbnail.jpg" and (folder / "out" / "ann_thumbnail.jpg").is_file()
    assert parse_record(record.line()) == record
    store = made.stages.store
    store.remember(record)
    (again,) = plan_batch(made.photos, store, ".glb", settings={"a": 1}, people=True, thumbnails=True)
    assert not again.to_do and again.past.left_out == [{"name": "ann/c.png", "reason": "no face found"}]


def test_who_fails_leaves_a_reason_and_a_picture(made, folder):
    made.fits.clear()
    record = made.stages.whole(made.task)
    assert (record.status, record.exit_code, record.error) == ("failed", 3, "none of 3 photos shows a face")
    assert record.photos == ["ann/a.png", "ann/b.png", "ann/c.png"]
    assert sorted(path.name for path in (folder / "out").glob("ann*")) == ["ann_thumbnail.jpg"]


def test_more_photos_than_a_person_has_are_refused(made, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    record = made.stages.whole(replace(made.task))
    assert record.exit_code == 4 and "3 photos in one group" in record.error and not made.asked
