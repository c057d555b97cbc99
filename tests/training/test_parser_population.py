"""The population: people as the model says, pictures that show the surface that is told."""

import json

import numpy as np

from benchmarks.dataset import cases, read_scan
from facefit.anatomy.landmarks import LANDMARKS7
from facefit.synth.photograph import photograph
from training.parser.population import YAW, oval, people, write


def test_people_are_drawn_as_the_model_says(open_head):
    drawn = [people(open_head, 3, number)[0] for number in range(60)]
    identity = np.stack([person.identity for person in drawn])
    assert abs(identity.std() - 1) < 0.03 and np.abs(identity).max() > 3  # neither shrunk nor cut off
    assert max(abs(person.pose[0]) for person in drawn) <= YAW * np.radians(70) + 1e-9
    assert max(max(person.expression.values(), default=0) for person in drawn) < 0.61
    again, rng = people(open_head, 3, 5)
    np.testing.assert_array_equal(again.identity, drawn[5].identity)
    assert rng.random() == people(open_head, 3, 5)[1].random()


def test_the_files_of_a_person_agree(open_head, tmp_path):
    head = open_head
    person, rng = people(head, 3, 0)
    shot = photograph(head, rng, 160, person)
    region = oval(head)
    (tmp_path / "population").mkdir()
    write(tmp_path / "population", "person_000", head, shot, (shot.image * 255).astype(np.uint8), region)
    (case,) = cases(tmp_path, "population")
    scan = read_scan(case.scan)
    marks = head.landmarks(shot.verts)
    np.testing.assert_allclose(scan.landmarks7, marks[list(LANDMARKS7)], atol=1e-3)
    # the true surface by the camera that is told is where the picture's landmarks are
    intrinsics = np.array(json.loads(case.photo.with_suffix(".json").read_text())["K"])
    with np.load(case.scan) as file:
        points = marks @ file["rotation"].T + file["translation"]
    pixels = points * [1, -1, -1] @ intrinsics.T
    np.testing.assert_allclose(pixels[:, :2] / pixels[:, 2:], shot.landmarks, atol=0.02)
    inside = head.verts[region]
    assert 0.1 < region.mean() < 0.6 and inside[:, 2].min() > head.verts[:, 2].min() + 50
    mean = head.landmarks(head.verts)
    assert abs(inside[:, 1].max() - mean[10, 1]) < 5 and abs(inside[:, 1].min() - mean[152, 1]) < 8  # hairline to chin
