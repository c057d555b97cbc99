"""Rulers on a mesh whose measures are known, and the surveys' figures."""

import numpy as np
import pytest

from facefit.anatomy.landmarks import LANDMARKS, MIRROR
from facefit.importers.default_head.anthropometry import POINTS, SURVEYS, Ruler

# a face of points, mm: y up, x to its left, z out
PLACES = {
    "sellion": (0, 0, 10), "menton": (0, -120, 0), "subnasale": (0, -50, 15), "pronasale": (0, -40, 35),
    "right_ala": (-18, -45, 12), "left_ala": (18, -45, 12), "right_cheilion": (-25, -75, 8),
    "left_cheilion": (25, -75, 8), "right_exocanthion": (-45, 0, 0), "left_exocanthion": (45, 0, 0),
    "right_endocanthion": (-16, 0, 0), "left_endocanthion": (16, 0, 0), "labiale_superius": (0, -68, 20),
    "labiale_inferius": (0, -84, 20), "stomion": (0, -76, 20), "right_gonion": (-55, -85, -60),
    "left_gonion": (55, -85, -60), "right_zygion": (-70, -10, -40), "left_zygion": (70, -10, -40),
}  # fmt: skip
EYES = [(-32, 2, 0), (-32, -2, 0), (32, 2, 0), (32, -2, 0)]
# the last one lies below the braincase
SKULL = [(-76, 60, -90), (76, 60, -90), (0, 60, 20), (0, 60, -170), (500, 0, 0)]
EXPECTED = {
    "face breadth": 140, "jaw breadth": 110, "face length": np.hypot(120, 10), "interpupillary distance": 64,
    "head breadth": 152, "head length": 190, "nose protrusion": np.hypot(10, 20), "nose breadth": 36,
    "nose length": np.hypot(50, 5), "lip length": 50, "intercanthal distance": 32, "biocular distance": 90,
    "upper lip height": 8,
}  # fmt: skip


@pytest.fixture
def face():
    verts = np.array([*PLACES.values(), *EYES, *SKULL], float)
    count = len(verts)
    points = {name: np.eye(count)[k] for k, name in enumerate(PLACES)}
    first = len(PLACES)
    ruler = Ruler(points, np.arange(first, first + 2), np.arange(first + 2, first + 4), np.arange(first + 4, count))
    return ruler, verts


def test_measures_by_hand(face):
    ruler, verts = face
    assert ruler.measure(verts).tolist() == pytest.approx([EXPECTED[name] for name in SURVEYS])


def test_one_or_many_heads_and_sizes(face):
    ruler, verts = face
    many = ruler.measure(np.stack([verts, 1.1 * verts + 7, verts]))
    assert many.shape == (3, len(SURVEYS))
    assert many[0].tolist() == pytest.approx(many[2].tolist())
    assert (many[1] / many[0]).tolist() == pytest.approx([1.1] * len(SURVEYS))


def test_every_point_is_a_landmark_and_pairs_mirror():
    assert set(POINTS) == set(PLACES)
    for name, index in POINTS.items():
        assert all(0 <= k < LANDMARKS for k in index)
        if name.startswith("right_"):
            twin = POINTS[name.replace("right_", "left_")]
            assert sorted(MIRROR[list(index)].tolist()) == sorted(twin), name


def test_surveys_are_plausible_adults():
    """A slip of a digit would show: men are larger in all but the lip, spreads are 3 to 18 per cent."""
    for name, survey in SURVEYS.items():
        assert (survey.men[0] > survey.women[0]) == (name != "upper lip height"), name
        assert all(0.03 < deviation / mean < 0.18 for mean, deviation in (survey.men, survey.women)), name
        assert survey.source in ("NIOSH", "Farkas")
