"""The steps of a photo: what travels between processes is complete, and what goes wrong stays with its face."""

import errno
import json
import os
import pickle
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.rendered_face import person, photograph, together
from PIL import Image

from facefit.batch.calls import StageCalls
from facefit.batch.folder_store import FolderStore
from facefit.batch.manifest import Record
from facefit.batch.options import BatchOptions, Failure, Halt
from facefit.batch.plan import Task, list_batch, plan_batch
from facefit.batch.steps import Prepared, Stages, failure, load_stages
from facefit.batch.travel import fit_result, pack, unpack
from facefit.bundled import model_path
from facefit.errors import NoFaceError, OutputError
from facefit.fit.config import FitConfig, Stage
from facefit.fit.fit import fit_photo
from facefit.job.options import JobOptions
from facefit.metrics.part_iou import mean_iou
from facefit.observe.observation import Observation
from facefit.photo.photo import read_photo

needs_model = pytest.mark.skipif(not model_path().is_file(), reason="the face model is not built")
pytestmark = pytest.mark.usefixtures("plain_textures")
OPTIONS = JobOptions(
    iterations=2, segmentation="polygons", texture_size=16, energies=("landmark", "photometric"), faces="all",
    device="cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def portrait(astronaut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in")
    Image.fromarray(astronaut[:200, 130:330]).save(folder / "one.png")
    return folder / "one.png"


@pytest.fixture(scope="module")
def job():
    from facefit.job.job import load_job

    return load_job(OPTIONS)


@pytest.fixture
def stages(job, tmp_path):
    store = FolderStore(tmp_path / "out")
    store.prepare()
    return Stages(BatchOptions(OPTIONS, str(tmp_path / "out"), settings={"a": 1}), job, store)


@pytest.fixture
def illustrated(stages, small_overlays):
    """The same, with a picture of each kind beside a mesh."""
    return Stages(replace(stages.options, overlay=True, labels=True, thumbnails=True), stages.job, stages.store)


@pytest.fixture(scope="module")
def fitted(job, portrait, tmp_path_factory):
    """The portrait, prepared and fitted once for what comes after a fit: call with the stages that are to finish it."""
    store = FolderStore(tmp_path_factory.mktemp("out"))
    stages = Stages(BatchOptions(OPTIONS, str(store.root)), job, store)
    prepared = stages.prepare(task_of(portrait, stages))
    fit = stages.fit(prepared.faces)[0]
    return lambda stages: (replace(prepared, task=task_of(portrait, stages)), fit)


def task_of(photo, stages, **options):
    return plan_batch(list_batch([photo], stages.store), stages.store, settings={"a": 1}, **options)[0]


def same(one, other):
    for name in ("image", "landmarks", "landmark_confidence", "part_masks", "valid", "brow_line"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert torch.equal(one.camera.focal, other.camera.focal) and torch.equal(one.window.origin, other.window.origin)


@pytest.fixture(scope="module")
def faces(job):
    people = [person(job.instruments.model, seed=seed, yaw=10.0 * seed) for seed in (0, 1)]
    return [photograph(job.instruments.model, each, 96).observation for each in people], people


@pytest.mark.parametrize("mesh", ("../victim.obj", "ABSOLUTE", "link/victim.obj", "other.obj"))
def test_a_manifest_does_not_say_where_thumbnails_go(tmp_path, monkeypatch, mesh):
    """A manifest from a stranger, asked for a sheet: nothing is read or written where it points."""
    store = FolderStore(tmp_path / "out")
    store.prepare()
    (store.root / "link").symlink_to(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "one.png")
    mesh = str(tmp_path / "victim.obj") if mesh == "ABSOLUTE" else mesh
    outputs = ["one.obj"] if mesh == "other.obj" else [mesh]
    past = Record("one.png", 1, 1.0, "done", outputs=outputs, faces=[{"face": 1, "mesh": mesh}])
    for name in ("find_fits", "load_scene"):
        monkeypatch.setattr(f"facefit.batch.steps.{name}", lambda *_: [None])
    monkeypatch.setattr("facefit.batch.steps.thumbnail_jpg", lambda *_: b"a picture")
    model = types.SimpleNamespace(to=lambda device: None)
    job = types.SimpleNamespace(instruments=types.SimpleNamespace(model=model))
    stages = Stages(BatchOptions(OPTIONS, str(store.root), thumbnails=True), job, store)
    task = Task(tmp_path / "one.png", "one.png", "one.obj", 1, 1.0, past, True)
    assert stages.prepare(task) is past
    assert not list(tmp_path.rglob("*_thumbnail.jpg"))


@needs_model
class TestObservations:
    def test_packed_and_stacked(self, job, faces):
        alone, people = faces
        for face in alone:
            same(unpack(pack(face)), face)
        soft = replace(alone[0], valid=alone[0].valid * 0.5)
        same(unpack(pack(soft)), soft)
        same(Observation.cat(alone)[1], alone[1])
        same(Observation.cat(alone), photograph(job.instruments.model, together(*people), 96).observation)
        with pytest.raises(ValueError, match="64, 96"):
            Observation.cat([alone[0], photograph(job.instruments.model, people[0], 64).observation])

    def test_a_face_that_explodes_does_not_harm_its_neighbours(self, stages, faces):
        good, bad = faces[0][0], faces[0][1]
        bad = replace(bad, landmarks=bad.landmarks * 1e30)
        fits = stages.fit([good, bad, good])
        assert isinstance(fits[1], Failure) and fits[1].exit_code == 5
        alone = stages.fit([good])[0]
        for fit in (fits[0], fits[2]):
            assert torch.equal(fit.values["parameters"].identity, alone.values["parameters"].identity)

    def test_when_so_many_are_too_many(self, stages, faces, monkeypatch):
        sizes = []

        def fit_batch(observation, *args, **options):
            sizes.append(observation.batch)
            if observation.batch > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            raise MemoryError

        monkeypatch.setattr("facefit.batch.steps.fit_observed", fit_batch)
        assert stages.fit([faces[0][0]] * 3) == [Failure(5, "not enough memory", final=False)] * 3
        assert sizes == [3, 1, 2, 1, 1]


@needs_model
class TestPhoto:
    def test_the_steps_give_what_one_photo_gives(self, stages, job, portrait):
        prepared = stages.prepare(task_of(portrait, stages))
        assert isinstance(prepared, Prepared) and len(prepared.faces) == 1
        data = pickle.dumps(stages.fit(prepared.faces)[0])
        assert len(data) < 1_000_000  # without the model, which is where it goes
        fit = pickle.loads(data)
        rebuilt = fit_result(fit, prepared.faces[0], prepared.photo, job.instruments.model)
        config = replace(FitConfig(energies=OPTIONS.energies), stage=replace(Stage(), iterations=2))
        loaded = {name: getattr(job.instruments, name) for name in ("model", "detector", "segmenter")}
        expected = fit_photo(read_photo(portrait), config, **loaded)[0]
        assert np.array_equal(rebuilt.verts, expected.verts)
        assert rebuilt.energies == expected.energies and rebuilt.part_iou == expected.part_iou
        assert torch.equal(rebuilt.observation.valid, expected.observation.valid)
        assert torch.equal(rebuilt.camera.focal, expected.camera.focal)

    def test_whole(self, illustrated, portrait):
        stages = illustrated
        record = stages.whole(task_of(portrait, stages))
        assert record.status == "done" and record.settings == {"a": 1}
        assert record.outputs == [
            "one_1.obj", "one_1.mtl", "one_1_texture.png", "one_1.json", "one_1_overlay.png", "one_1_labels.png",
        ]  # fmt: skip
        assert [stages.store.size(name) for name in record.outputs] == record.output_bytes
        face = record.faces[0]
        assert face["energies"].keys() >= {"landmark", "photometric"} and 0 < face["part_iou"] <= 1
        document = json.loads((stages.store.root / "one_1.json").read_text())
        assert face["part_iou"] == pytest.approx(mean_iou(document["part_iou"]))  # of the 8 parts, as `eval compare`
        assert document["seconds"].keys() >= {"detection", "segmentation", "landmark stage", "full stage"}
        with Image.open(stages.store.root / face["thumbnail"]) as picture:
            assert picture.size == (576, 192)
        stages.store.remember(record)
        assert not task_of(portrait, stages).to_do

    def test_thumbnails_of_an_earlier_run(self, stages, portrait, fitted):
        prepared, fit = fitted(stages)
        stages.store.remember(stages.finish(prepared, [fit], [1.0]))
        mesh = stages.store.root / "one_1.obj"
        before = mesh.stat().st_mtime_ns
        task = task_of(portrait, stages, thumbnails=True)
        assert task.to_do and task.past is not None
        record = Stages(replace(stages.options, thumbnails=True), stages.job, stages.store).whole(task)
        assert (stages.store.root / record.faces[0]["thumbnail"]).is_file() and mesh.stat().st_mtime_ns == before
        stages.store.remember(record)
        assert not task_of(portrait, stages, thumbnails=True).to_do

    def test_a_large_photo_is_read_again(self, stages, portrait, tmp_path, monkeypatch):
        photo = tmp_path / "large.png"
        photo.write_bytes(portrait.read_bytes())
        monkeypatch.setattr("facefit.batch.steps.KEPT_PHOTO", 1000)
        calls = StageCalls(stages)
        task = task_of(photo, stages)
        fits, _ = calls.fit(calls.prepare(7, task))
        assert calls.kept[7].photo is None
        assert calls.finish(7, fits, [1.0]).status == "done" and not calls.kept
        calls.prepare(8, task)
        photo.write_bytes(photo.read_bytes() + b" ")
        record = calls.finish(8, fits, [1.0])
        assert record.status == "failed" and "was changed" in record.error

    def test_a_store_that_keeps_nothing_is_no_photos_failure(self, stages, fitted, monkeypatch):
        def full(contents, inputs=()):
            try:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError as error:
                raise OutputError(f"out: {error.strerror}") from None

        prepared, fit = fitted(stages)
        calls = StageCalls(stages)
        monkeypatch.setattr(stages.store, "write", full)
        calls.kept[1] = prepared
        assert calls("finish", 1, [pickle.dumps(fit)], [1.0]) == Halt("out: No space left on device")
        monkeypatch.undo()
        calls.kept[1] = prepared
        assert calls("finish", 1, [pickle.dumps(fit)], [1.0]).status == "done"

    def test_one_of_two_faces_fails(self, stages, fitted):
        prepared, fit = fitted(stages)
        two = replace(prepared, faces=prepared.faces * 2, stages=prepared.stages * 2)
        record = stages.finish(two, [fit, Failure(5, "nan")], [1.0, 2.0])
        assert (record.status, record.exit_code, record.error) == ("failed", 5, "face 2: nan")
        assert [face["mesh"] for face in record.faces] == ["one_1.obj", None]
        assert (stages.store.root / "one_1.obj").is_file()

    def test_photos_that_fail(self, illustrated, tmp_path):
        stages = illustrated
        (tmp_path / "text.jpg").write_text("no photo")
        Image.new("RGB", (300, 200)).save(tmp_path / "wall.png")
        record = stages.whole(task_of(tmp_path / "text.jpg", stages))
        assert (record.status, record.exit_code, record.thumbnail) == ("failed", 4, None)
        record = stages.whole(task_of(tmp_path / "wall.png", stages))
        assert (record.status, record.exit_code) == ("failed", 3)
        with Image.open(stages.store.root / record.thumbnail) as picture:
            assert picture.size == (288, 192)


@needs_model
def test_a_worker_has_the_threads_it_is_given(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    try:
        stages = load_stages(BatchOptions(OPTIONS, str(tmp_path), threads=1))
        assert torch.get_num_threads() == 1 and stages.job.instruments.device.type == "cpu"
    finally:
        torch.set_num_threads(before)


def test_failures_speak_like_the_command_line():
    assert failure(NoFaceError("no face\nfound")) == Failure(3, "no face found")
    assert failure(ZeroDivisionError("surprise")) == Failure(5, "ZeroDivisionError: surprise")
    assert failure(MemoryError()) == Failure(5, "not enough memory", final=False)


@needs_model
def test_a_line_that_names_no_photo_fails_with_the_list_and_the_line(tmp_path, stages):
    (tmp_path / "list.txt").write_bytes(b"a\0.jpg\n")
    record = stages.prepare(task_of(tmp_path / "list.txt", stages))
    assert (record.photo, record.status, record.exit_code) == ("list.txt:1", "failed", 4)
    assert record.error.startswith(f"{tmp_path / 'list.txt'}: line 1: holds a NUL") and record.final
