"""The same lead on a Ray cluster of two machines' worth of actors, one of which is killed in the middle; and with a
store that goes out of reach."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.batch_fakes import FakeLoader, photos
from helpers.places import PYTHONPATH

from facefit.batch.lead import Lead, Plan
from facefit.batch.manifest import MANIFEST, parse_manifest
from facefit.batch.plan import list_batch, plan_batch
from facefit.batch.store import open_store
from facefit.errors import OutputError

# in a process of its own: ray leaves sockets and child processes behind, which here are errors
SCRIPT = Path(__file__).resolve()
pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed"),
]


@pytest.mark.parametrize(("plan", "scheme"), [("whole", ""), ("staged", "local://")])
def test_a_machine_and_a_worker_die_in_the_middle(tmp_path, plan, scheme):
    texts = {f"p{k:02}": "prepare:pause" for k in range(24)}
    texts |= {"p05": "finish:segv", "p06": "noface", "p07": "fit:kill-once"}
    folder, out = photos(tmp_path / "in", **texts), f"{scheme}{tmp_path}/out"
    summary = on_a_cluster(folder, out, plan, "machine")
    assert summary["machines"] == 2 and summary["deaths"] >= 3  # of p05's actors, of p07's, and with the machine
    assert sorted(summary["records"]) == sorted(path.name for path in folder.glob("*.jpg"))  # each exactly once
    records = parse_manifest((tmp_path / "out" / MANIFEST).read_text())
    assert {name for name, record in records.items() if record.status == "failed"} == {"p05.jpg", "p06.jpg"}
    assert len(records) == 24 and "died" in records["p05.jpg"].error
    assert {path.stat().st_size for path in (tmp_path / "out").glob("*.obj")} == {4000}
    assert len(list((tmp_path / "out").glob("*.obj"))) == 22
    tasks = plan_batch(list_batch([folder], open_store(out)), open_store(out))
    # of a dead actor nobody knows whether the photo or the machine was to blame
    assert [task.key for task in tasks if task.to_do] == ["p05.jpg"]


def test_a_store_out_of_reach_stops_the_batch_and_costs_no_photo(tmp_path):
    """It ends with one line; when the store is back, the batch goes on, and each photo is done exactly once."""
    folder = photos(tmp_path / "in", **{f"p{k:02}": "prepare:pause" for k in range(24)})
    summary = on_a_cluster(folder, f"local://{tmp_path}/out", "staged", "store")
    assert summary["error"].startswith(f"local://{tmp_path}/out/") and "\n" not in summary["error"]
    first, second = summary["records"], summary["later"]
    assert 6 <= len(first) < 24
    records = parse_manifest((tmp_path / "out" / MANIFEST).read_text())
    assert sorted(records) == sorted(path.name for path in folder.glob("*.jpg"))
    assert {record.status for record in records.values()} == {"done"}
    assert len(second) == len(set(second)) and set(first) | set(second) == set(records)
    assert not set(first) & set(second)  # what was written and remembered is not done again


def on_a_cluster(folder: Path, out: str, plan: str, lost: str) -> dict:
    """What `main` printed."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "RAY_DEDUP_LOGS": "0"}
    told = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), out, plan, lost], capture_output=True, text=True, timeout=300,
        env=environment,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-3000:]
    return json.loads(told.stdout.splitlines()[-1])


def main(folder: str, out: str, plan: str, lost: str) -> None:
    """Two machines with two cores each; after six photos one is lost, or the store is."""
    import ray
    from ray.cluster_utils import Cluster

    from facefit.batch.ray_workers import RayWorkers

    class Watched(RayWorkers):
        deaths = 0

        def wait(self, timeout):
            events = super().wait(timeout)
            self.deaths += sum(event.kind == "died" for event in events)
            return events

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False, configure_logging=False)
    machines = sum(node["Alive"] for node in ray.nodes())
    spread = Plan(hosts=4, attempts=3, start_tries=10)
    if plan == "staged":
        spread = replace(spread, hosts=3, devices=1, batch=2)
    loader = FakeLoader(out)
    place = Path(out.removeprefix("local://"))
    summary = {"machines": machines, "records": [], "later": [], "deaths": 0}

    def run(records: list[str], upset: Callable[[], None]) -> None:
        store, workers = open_store(out), Watched()
        tasks = [task for task in plan_batch(list_batch([folder], store), store) if task.to_do]
        try:
            for record in Lead(spread, workers, loader, [loader] * spread.devices, store).run(tasks):
                records.append(record.photo)
                if len(records) == 6:
                    upset()
            store.collect(store.records().values())
        finally:
            summary["deaths"] += workers.deaths

    if lost == "machine":
        run(summary["records"], lambda: cluster.remove_node(second, allow_graceful=False))
    else:
        away = place.with_name("away")

        def out_of_reach() -> None:
            place.rename(away)
            place.write_text("no folder")  # whatever is written below it fails, also for root

        try:
            run(summary["records"], out_of_reach)
        except OutputError as error:
            summary["error"] = str(error)
        place.unlink()
        away.rename(place)
        run(summary["later"], lambda: None)
    print(json.dumps(summary), flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
