"""The smooth colour of a head of which a photo shows a part."""

from dataclasses import replace

import numpy as np
import torch

from facefit.output.complexion import complete


def completed(model, ratio, seen, lit=0.4):
    """Logarithms (V,) of what is found over what is fitted, of a face that is so much brighter where it is seen."""
    fitted = np.full((len(model.verts), 3), lit)
    painted = (fitted + 0.03) * np.exp(ratio)[:, None] - 0.03
    verts, faces, mirror = (value.numpy() for value in (model.verts, model.faces, model.symmetry))
    found = complete(np.where(seen[:, None], painted, 0), seen * 1.0, fitted, faces, verts.astype(float), mirror)
    return np.log((found + 0.03) / (fitted + 0.03))[:, 0]


def test_the_side_that_is_not_seen_goes_on_from_the_one_that_is(toy_model):
    """The photo shows a face in twice the fitted light from the middle on, and a face that is darker below."""
    verts = toy_model.verts.numpy()
    seen = verts[:, 0] > -1
    ratio = 0.6 + 0.004 * verts[:, 1]
    found = completed(toy_model, ratio, seen)
    assert np.abs(found - ratio)[verts[:, 0] > 15].max() < 0.12
    near = (verts[:, 0] < -1) & (verts[:, 0] > -30) & (np.abs(verts[:, 1]) < 70)
    assert np.abs(found - ratio)[near].max() < 0.12  # neither a step nor another slope
    far = verts[:, 0] < -50
    assert np.corrcoef(found[far], verts[far, 1])[0, 1] > 0.9


def test_light_on_one_place_alone_gives_way_to_the_usual(toy_model):
    """The upper half is seen, whose lowest part is brighter than it; so is not the chin."""
    verts = toy_model.verts.numpy()
    seen = verts[:, 1] > 0
    found = completed(toy_model, np.where(verts[:, 1] < 15, 0.8, 0.0), seen)
    below = [found[(verts[:, 1] < top) & (verts[:, 1] > top - 20)].mean() for top in (0, -40, -75)]
    assert below[0] > 0.35 and below[0] > below[1] > below[2] and below[2] < 0.75 * below[0]


def test_a_piece_that_is_not_seen_stays_as_it_is_fitted(toy_model):
    """A tongue does not get the ratio of the skin."""
    count = len(toy_model.verts)
    tongue = torch.tensor([[0.0, 0, -80], [10, 0, -80], [0, 10, -80]])
    model = replace(
        toy_model, verts=torch.cat([toy_model.verts, tongue]),
        faces=torch.cat([toy_model.faces, torch.tensor([[0, 1, 2]], dtype=toy_model.faces.dtype) + count]),
        symmetry=torch.cat([toy_model.symmetry, torch.arange(count, count + 3, dtype=toy_model.symmetry.dtype)]),
    )  # fmt: skip
    found = completed(model, np.full(count + 3, 0.7), np.arange(count + 3) < count)
    assert found[0] > 0.65 and np.abs(found[count:]).max() < 1e-3
    assert np.abs(completed(model, np.full(count + 3, 0.7), np.zeros(count + 3, bool))).max() < 1e-3
