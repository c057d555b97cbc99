"""An attack is its area, its seed and its number."""

import random

import pytest

from fuzz import areas
from fuzz.inputs import INPUTS
from fuzz.kit import Kit
from fuzz.run import _jobs


def test_a_full_run_is_as_large_as_it_is_said_to_be():
    assert sum(area.inputs * area.times for area in areas.AREAS.values()) >= 2000
    assert sum(area.kills * area.times for area in areas.AREAS.values()) >= 300


def test_a_short_run_has_something_of_nearly_all():
    jobs = _jobs(list(areas.AREAS), 0.05)
    assert {job.area for job in jobs} >= set(areas.AREAS) - {"batches of worker processes, killed"}
    assert len(jobs) < 150 and len(set(jobs)) == len(jobs)


@pytest.mark.parametrize("area", ("pictures", "label pictures", "published models", "meshes"))
def test_the_same_number_is_the_same_attack(tmp_path, area):
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(4):
            (folder / str(number)).mkdir()
            INPUTS[area][0](random.Random(f"5 {area} {number}"), Kit(tmp_path), folder / str(number))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        made.append([(path.relative_to(folder), path.read_bytes()) for path in files])
    assert made[0] == made[1] and len(made[0]) >= 4


def test_files_grow_by_zeros_and_results_do_not(tmp_path):
    (tmp_path / "out").mkdir()
    for name in ("photo.jpg", "out/m.obj"):
        (tmp_path / name).write_bytes(b"x")
    areas.grow(random.Random(0), tmp_path, tmp_path / "out")
    assert (tmp_path / "photo.jpg").stat().st_size >= 300 << 20 and (tmp_path / "out/m.obj").stat().st_size == 1
