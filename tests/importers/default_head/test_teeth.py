"""Rows of teeth: their size, where the edges lie, and which way they face."""

import numpy as np
import pytest

from facefit.importers.default_head.teeth import (
    COLUMNS,
    CROWN,
    EDGE,
    GUM,
    INSIDE,
    LOWER,
    ROWS,
    UPPER,
    arch_points,
    arch_quads,
)


@pytest.mark.parametrize("arch", [UPPER, LOWER], ids=["upper", "lower"])
def test_the_edges_begin_in_the_middle_and_run_back_on_both_sides(arch):
    points = arch_points(arch)
    assert points.shape == (ROWS, COLUMNS, 3)
    edge = points[EDGE]
    middle = COLUMNS // 2
    assert np.abs(edge[middle]).max() < 1.5  # a notch between the two front teeth
    assert np.allclose(points, points[:, ::-1] * [-1, 1, 1])
    gaps = edge[middle::3]  # between two teeth
    assert (np.diff(gaps[:, 2]) < 0).all() and (np.diff(gaps[:-1, 0]) > 0).all()
    assert 50 < np.ptp(edge[:, 0]) < 62 and 35 < np.ptp(edge[:, 2]) < 48  # an adult's arch, mm


@pytest.mark.parametrize("arch", [UPPER, LOWER], ids=["upper", "lower"])
def test_a_tooth_is_as_wide_and_high_as_it_says(arch):
    points, middle = arch_points(arch), COLUMNS // 2
    for number in range(3):
        a, b = points[CROWN, middle + 3 * number], points[CROWN, middle + 3 * number + 3]
        assert np.linalg.norm(b - a) == pytest.approx(arch.teeth[number], rel=0.12)
        height = arch.up * (points[GUM] - points[EDGE])[middle + 3 * number + 1, 1]
        assert height == pytest.approx(arch.crown[number], rel=0.15)
    depth = np.linalg.norm((points[INSIDE] - points[CROWN])[middle + 1, ::2])
    assert 3 < depth < 8


@pytest.mark.parametrize("arch", [UPPER, LOWER], ids=["upper", "lower"])
def test_the_outer_side_faces_outwards(arch):
    points = arch_points(arch).reshape(-1, 3)
    quads = arch_quads(arch)
    a, b, c, d = (points[quads[:, k]] for k in range(4))
    normal, middle = np.cross(c - a, d - b), points[quads].mean(1)
    outer = (quads < EDGE * COLUMNS).all(1)
    outward = middle[outer] - [0, 0, -arch.depth]
    assert ((normal[outer] * outward * [1, 0, 1]).sum(1) > 0).mean() > 0.95
