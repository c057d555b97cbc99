"""Rings of vertices around a hole in a grid."""

import numpy as np

from facefit.importers.default_head.rings import grow_rings, neighbours, opposite, two_sides


def disc(columns=12, rings=5):
    """A flat ring of quads around a hole: (C, 3) vertices ring by ring from the hole outwards, (Q, 4)."""
    turn = np.arange(columns) * 2 * np.pi / columns + 0.1
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    verts = np.concatenate([(2 + r) * ring for r in range(rings)])
    number = np.arange(columns * rings).reshape(rings, columns)
    quads = [
        [number[r, c], number[r + 1, c], number[r + 1, (c + 1) % columns], number[r, (c + 1) % columns]]
        for r in range(rings - 1)
        for c in range(columns)
    ]
    return verts, np.array(quads)


def test_rings_grow_column_by_column():
    verts, quads = disc()
    loop = np.roll(np.arange(12), 5)
    found = grow_rings(loop, neighbours(quads), verts, 4)
    assert np.array_equal(found, loop + 12 * np.arange(4)[:, None])


def test_a_column_that_ends_is_marked():
    verts, quads = disc(rings=3)
    found = grow_rings(np.arange(12), neighbours(quads), verts, 5)
    assert (found[:3] >= 0).all() and (found[3:] == -1).all()


def test_above_and_below_from_corner_to_corner():
    verts, _ = disc()
    edge = verts[:12]
    first, last = int(edge[:, 0].argmin()), int(edge[:, 0].argmax())
    upper, lower = two_sides(edge, first, last)
    assert sorted([*upper, *lower, first, last]) == list(range(12))
    assert edge[upper, 1].min() > edge[lower, 1].max()
    assert (np.diff(edge[upper, 0]) > 0).all() and (np.diff(edge[lower, 0]) > 0).all()
    a, b, share = opposite(edge[:, 0], upper, np.array([first, *lower, last]))
    below = (1 - share[:, 0]) * edge[a, 0] + share[:, 0] * edge[b, 0]
    assert np.allclose(below, edge[upper, 0]) and ((share >= 0) & (share <= 1)).all()
