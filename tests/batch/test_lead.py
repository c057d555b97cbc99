"""The lead of a batch, with real worker processes that do what the photos say: crash, hang, fail, or work."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.batch_fakes import FakeLoader, photos
from helpers.places import ROOT, TESTS

from facefit.batch.folder_store import FolderStore
from facefit.batch.lead import Lead, Plan, WorkerError
from facefit.batch.manifest import MANIFEST, append_record, read_manifest
from facefit.batch.plan import list_batch, plan_batch
from facefit.batch.workers import LocalWorkers
from facefit.errors import OutputError

WHOLE = Plan(hosts=2)
PRELOAD = ("facefit.batch.plan", "facefit.batch.store")  # what the stand-ins load
STAGED = Plan(hosts=2, devices=1, batch=3)
SOON = 0.5  # seconds that a photo may take here


@pytest.fixture(autouse=True)
def quick_clock(monkeypatch):
    monkeypatch.setattr("facefit.batch.lead.TICK", 0.02)


def lead(folder, output, plan=WHOLE, loader=None, stop=None, **options):
    store = FolderStore(output)
    tasks = [task for task in plan_batch(list_batch([folder], store), store, **options) if task.to_do]
    loader = loader or FakeLoader(str(output))
    return Lead(plan, LocalWorkers(preload=PRELOAD), loader, [loader] * plan.devices, store, {}, stop), tasks


def run(folder, output, plan=WHOLE, **options):
    """Key without suffix -> record, of one run; every task has exactly one."""
    leader, tasks = lead(folder, output, plan, **options)
    records = list(leader.run(tasks))
    assert sorted(record.photo for record in records) == sorted(task.key for task in tasks)
    return {record.photo.removesuffix(".jpg"): record for record in records}


@pytest.mark.parametrize("plan", [WHOLE, STAGED, Plan(hosts=1, devices=2, batch=8)])
def test_all_photos_are_done_once(tmp_path, plan):
    folder = photos(tmp_path / "in", **{f"p{k}": "face" * (k % 3 == 0) for k in range(17)})
    records = run(folder, tmp_path / "out", plan)
    assert len(records) == 17 and {record.status for record in records.values()} == {"done"}
    assert [len(records[f"p{k}"].faces) for k in (0, 1, 3)] == [2, 1, 2]
    lines = (tmp_path / "out" / MANIFEST).read_text().splitlines()
    assert len(lines) == 17
    assert not (tmp_path / "out" / ".partial").exists() or not list((tmp_path / "out" / ".partial").iterdir())


def test_faces_are_fitted_together(tmp_path):
    folder = photos(tmp_path / "in", **{f"p{k}": "" for k in range(9)})
    records = run(folder, tmp_path / "out", STAGED)
    together = [record.faces[0]["energies"]["together"] for record in records.values()]
    assert max(together) == 3 and sum(1 / count for count in together) == pytest.approx(3)


@pytest.mark.parametrize("plan", [WHOLE, STAGED])
@pytest.mark.parametrize("step", ["prepare", "finish"])
def test_a_crash_costs_its_photo(tmp_path, plan, step):
    texts = {f"p{k}": "" for k in range(6)} | {"p2": f"{step}:segv", "p4": f"{step}:kill-once"}
    records = run(photos(tmp_path / "in", **texts), tmp_path / "out", plan)
    assert [name for name, record in records.items() if record.status == "failed"] == ["p2"]
    assert "SIGSEGV" in records["p2"].error and records["p2"].exit_code == 5


def test_a_crash_of_the_device_costs_its_photo(tmp_path):
    texts = {f"p{k}": "" for k in range(7)} | {"p1": "fit:segv face"}
    records = run(photos(tmp_path / "in", **texts), tmp_path / "out", STAGED)
    assert [name for name, record in records.items() if record.status == "failed"] == ["p1"]
    assert "SIGSEGV" in records["p1"].error


@pytest.mark.parametrize("plan", [WHOLE, STAGED])
@pytest.mark.parametrize("step", ["prepare", "fit", "finish"])
def test_whose_worker_was_killed_is_tried_by_the_next_run(tmp_path, plan, step):
    """Not so who crashed it, or hangs."""
    folder = photos(tmp_path / "in", a="", b=f"{step}:kill", c=f"{step}:segv", d=f"{step}:sleep")
    records = run(folder, tmp_path / "out", replace(plan, timeout=SOON, batch=1))
    assert {name: (record.status, record.final) for name, record in records.items()} == {
        "a": ("done", True), "b": ("failed", False), "c": ("failed", True), "d": ("failed", True),
    }  # fmt: skip
    assert "SIGKILL" in records["b"].error and records["d"].error == "took longer than 0.5 s"
    (folder / "b.jpg").write_text("")
    os.utime(folder / "b.jpg", (1, 1))
    again = read_manifest(tmp_path / "out" / MANIFEST)["b.jpg"]
    append_record(tmp_path / "out" / MANIFEST, replace(again, bytes=0, modified=1.0))  # as if it were the same photo
    assert {name: record.status for name, record in run(folder, tmp_path / "out").items()} == {"b": "done"}


@pytest.mark.parametrize("plan", [WHOLE, STAGED])
def test_a_full_disk_stops_the_batch_and_is_no_photos_failure(tmp_path, plan):
    folder = photos(tmp_path / "in", **{f"p{k}": "noface" if k == 0 else "" for k in range(30)})
    leader, tasks = lead(folder, tmp_path / "out", plan, FakeLoader(str(tmp_path / "out"), "full"))
    records = []
    with pytest.raises(OutputError, match="File too large"):
        records.extend(leader.run(tasks))
    assert len(read_manifest(tmp_path / "out" / MANIFEST)) <= 1  # the one without a face is known for good
    records = run(folder, tmp_path / "out", plan)
    assert sum(record.status == "done" for record in records.values()) == 29
    assert len(read_manifest(tmp_path / "out" / MANIFEST)) == 30


@pytest.mark.parametrize("plan", [WHOLE, STAGED])
def test_failures_that_are_no_crash(tmp_path, plan):
    texts = {"a": "", "b": "noface", "c": "explode", "d": ""}
    records = run(photos(tmp_path / "in", **texts), tmp_path / "out", plan)
    assert {name: (record.status, record.exit_code) for name, record in records.items()} == {
        "a": ("done", 0), "b": ("failed", 3), "c": ("failed", 5), "d": ("done", 0),
    }  # fmt: skip
    assert run(tmp_path / "in", tmp_path / "out", plan) == {}
    assert set(run(tmp_path / "in", tmp_path / "out", plan, retry_failed=True)) == {"b", "c"}


@pytest.mark.parametrize("step", ["prepare", "fit"])
def test_a_photo_that_hangs_is_given_up(tmp_path, step):
    plan = Plan(hosts=2, devices=1, batch=1, timeout=SOON)
    records = run(photos(tmp_path / "in", a="", b=f"{step}:sleep", c=""), tmp_path / "out", plan)
    assert {name: record.status for name, record in records.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert records["b"].error == "took longer than 0.5 s"


@pytest.mark.parametrize("step", ["prepare", "fit", "finish"])
def test_a_stopped_worker_is_replaced(tmp_path, step):
    """It does not read: what it is sent, larger than a pipe, must not keep the lead from its clock."""
    texts = {f"p{k}": "large" for k in range(8)} | {"p2": f"large {step}:stop-once"}
    records = run(photos(tmp_path / "in", **texts), tmp_path / "out", Plan(hosts=2, devices=1, batch=2, timeout=SOON))
    assert {record.status for record in records.values()} == {"done"}


@pytest.mark.parametrize("plan", [WHOLE, STAGED])
def test_a_wish_to_stop_finishes_what_is_under_way(tmp_path, plan):
    folder = photos(tmp_path / "in", **{f"p{k:02}": "prepare:pause" for k in range(14)})
    stop = threading.Event()
    leader, tasks = lead(folder, tmp_path / "out", plan, stop=stop)
    records = []
    for record in leader.run(tasks):
        records.append(record)
        stop.set()
    assert 1 <= len(records) <= plan.in_flight + 1 and {record.status for record in records} == {"done"}
    assert len(run(folder, tmp_path / "out", plan)) == 14 - len(records)


@pytest.mark.parametrize(("wrong", "code", "text"), [("value", 2, "no such thing"), ("die", 5, "SIGSEGV")])
def test_workers_that_cannot_start_are_one_error(tmp_path, wrong, code, text):
    leader, tasks = lead(photos(tmp_path / "in", a="", b=""), tmp_path / "out", loader=FakeLoader("x", wrong))
    with pytest.raises(WorkerError, match=text) as caught:
        list(leader.run(tasks))
    assert caught.value.exit_code == code


def test_at_most_so_many_are_under_way(tmp_path):
    folder = photos(tmp_path / "in", **{f"p{k:02}": "" for k in range(40)})
    plan = Plan(hosts=2, devices=1, batch=2)
    leader, tasks = lead(folder, tmp_path / "out", plan)
    begun = []
    most = max(len(begun) - done for done, _ in enumerate(leader.run(begun.append(task) or task for task in tasks), 1))
    assert 1 < most <= plan.in_flight == 8
    assert leader.device_seconds == pytest.approx(0.4) and leader.device_share() > 0


MARK = "FACEFIT_TEST_RUN"
SCRIPT = """
import sys
sys.path[:0] = {path!r}
if __name__ == "__main__":  # workers do without
    from pathlib import Path
    from {module} import lead, WHOLE, STAGED
    leader, tasks = lead(Path({place!r}, "in"), Path({place!r}, "out"), {plan})
    for record in leader.run(tasks):
        print(record.photo, flush=True)
"""


@pytest.mark.parametrize("plan", ["WHOLE", "STAGED"])
def test_kill_9_and_again(tmp_path, plan):
    """Whenever the leading process is killed, its workers end, nothing half-written counts, nothing is done twice."""
    folder = photos(tmp_path / "in", **{f"p{k:02}": "" for k in range(60)})
    script = tmp_path / "run.py"
    path = [str(Path(__file__).parent), str(TESTS), str(ROOT)]
    script.write_text(SCRIPT.format(path=path, module=Path(__file__).stem, place=str(tmp_path), plan=plan))
    for lines in (3, 20):
        process = subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env={**os.environ, MARK: str(tmp_path)}
        )
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    end = time.monotonic() + 10
    while alive(tmp_path) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(tmp_path)
    before = read_manifest(tmp_path / "out" / MANIFEST)
    assert 23 <= len(before) < 60
    records = run(folder, tmp_path / "out", STAGED)
    assert len(records) == 60 - len(before) and not set(records) & {name.removesuffix(".jpg") for name in before}
    assert {path.stat().st_size for path in (tmp_path / "out").glob("*.obj")} == {4000}
    assert len(list((tmp_path / "out").glob("*.obj"))) == 60


def alive(folder: Path) -> list[str]:
    """Processes of a run that was marked so, workers included: they inherit its environment."""
    mark, found = f"{MARK}={folder}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue
    return found
