"""Which points of a mesh stand for which part."""

import pytest
import torch

from facefit.anatomy.parts import LABEL, PARTS
from facefit.energies.prdl.select import above_brows, group_points, select_points


def test_above_brows():
    # level brows at y = 40 and a tilted one through (50, 40)
    level, tilted = [0.0, -1.0, 40.0], [0.6, -0.8, 0.8 * 40 - 0.6 * 50]
    places = torch.tensor([[[10.0, 30.0], [10.0, 50.0], [90.0, 30.0], [10.0, 5.0]]])
    assert above_brows(places, torch.tensor([[level, level]])).tolist() == [[True, False, True, True]]
    # the tilted tangent, prolonged to the left, rises: the point between the two lines is not forehead
    assert above_brows(places, torch.tensor([[level, tilted]])).tolist() == [[False, False, True, True]]


def test_select_points():
    label = torch.tensor(
        [LABEL[n] for n in ("skin", "skin", "left_brow", "nose", "nose", "nose", "head", "mouth_inside")]
    )
    pixels = torch.tensor([[10, 30], [10, 5], [10, 5], [15, 15], [15.2, 15], [60, 10], [10, 30], [10, 30]]).float()[
        None
    ]
    visible = torch.ones(1, 8, dtype=torch.bool)
    brow = torch.tensor([[[0.0, -1.0, 12.0]] * 2])
    hidden = torch.zeros(1, 40, 40)
    keep = select_points(label, pixels, visible, brow, hidden)
    # skin above the brows, the vertex outside the window, and what is no part fall away; the brow itself stays
    assert keep.tolist() == [[True, False, True, True, True, False, False, False]]
    hidden[0, 15, 15] = 1.0  # row, column: hair over the nose
    visible[0, 0] = False
    assert select_points(label, pixels, visible, brow, hidden).tolist() == [[False, False, True] + [False] * 5]
    assert select_points(label, pixels, visible, brow)[0, 5]
    with pytest.raises(ValueError, match="vertex_label"):
        select_points(label[:3], pixels, visible, brow)
    with pytest.raises(ValueError, match="brow_line"):
        select_points(label, pixels, visible, brow[:, :1])
    with pytest.raises(ValueError, match="hidden"):
        select_points(label, pixels, visible, brow, hidden[0])


def test_group_points(toy_model):
    count = len(toy_model.verts)
    pixels = torch.stack([toy_model.verts[:, :2] + 112, toy_model.verts[:, :2] + 100])
    keep = torch.ones(2, count, dtype=torch.bool)
    keep[1, ::2] = False
    chosen = group_points(keep, toy_model.vertex_label, pixels)
    assert chosen.offset[-1] == len(chosen.vertex) == int(chosen.count.sum())
    for face in range(2):
        for part, name in enumerate(PARTS):
            start, stop = chosen.offset[8 * face + part : 8 * face + part + 2].tolist()
            expected = ((toy_model.vertex_label == LABEL[name]) & keep[face]).nonzero()[:, 0]
            assert torch.equal(chosen.vertex[start:stop], expected) and (chosen.face[start:stop] == face).all()
    torch.testing.assert_close(chosen.points(pixels), pixels[chosen.face, chosen.vertex])
    thin = group_points(keep, toy_model.vertex_label, pixels, skin_points=50)
    assert thin.count[:, -1].tolist() == [50, 50] and torch.equal(thin.count[:, :-1], chosen.count[:, :-1])
