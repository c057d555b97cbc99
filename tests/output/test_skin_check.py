"""What lies on the skin and what belongs to it, painted onto a face whose masks know of neither."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.synthetic_result import synthetic_result

from facefit.anatomy.parts import MASKS
from facefit.output.seen_pixels import seen_pixels
from facefit.output.skin_check import _single, _strands, check_skin

SKIN = np.array((0.62, 0.46, 0.40))


def shaded(u, v):
    """Skin under a light that changes over the whole face."""
    return (0.75 + 0.35 * u + 0 * v)[..., None] * SKIN


@pytest.fixture(scope="module")
def face(toy_model):
    labels = torch.where(toy_model.vertex_label > 0, 1, 0)  # no eyes, brows or lips, where dark is the person's own
    return synthetic_result(replace(toy_model, vertex_label=labels), width=840, height=720, side=160, texture=shaded)


def foreign(face, spot=None, colour=(0.16, 0.1, 0.07)):
    """Share of a rectangle, in shares of the face's box from its left upper corner, that is found; and of the rest."""
    left, top, right, bottom = face.scene.box()
    photo = face.photo.copy()
    at = np.zeros(photo.shape[:2], bool)
    if spot is not None:
        x0, y0, x1, y1 = np.array(spot) * ([right - left, bottom - top] * 2) + np.array([left, top] * 2)
        at[int(y0) : int(y1), int(x0) : int(x1)] = True
        photo[at] = np.array(colour) * 255
    pixels = replace(seen_pixels(face), photo=photo)
    lit = np.broadcast_to(SKIN, (len(face.model.verts), 3))
    check = check_skin(face.scene, pixels, lit)
    columns, rows = (
        ((np.arange(check.window.size) + 0.5) / float(check.window.scale) + float(check.window.origin[0, k])).astype(
            int
        )
        for k in range(2)
    )
    inside = (columns >= 0) & (columns < photo.shape[1])
    seen = at[np.clip(rows, 0, photo.shape[0] - 1)[:, None], np.clip(columns, 0, photo.shape[1] - 1)] & inside
    return check.foreign[seen].mean() if seen.any() else 0.0, check.foreign[~seen].mean()


def span(face) -> float:
    """Millimetres of the box's width, about."""
    left, _, right, _ = face.scene.box()
    return (right - left) * 900 / float(face.camera.focal[0, 0])


def test_light_that_changes_slowly_is_no_thing(face):
    assert foreign(face)[1] < 0.03  # the rim, where the wall shines through


def test_a_strand_is_found_from_end_to_end(face):
    thin = 2.0 / span(face)
    found, rest = foreign(face, (0.3, 0.15, 0.3 + thin, 0.42))
    assert found > 0.95 and rest < 0.03


def test_a_mole_is_the_persons_own(face):
    mole = 3.5 / span(face)  # and half as high again
    assert foreign(face, (0.3, 0.3, 0.3 + mole, 0.3 + mole))[0] == 0


def test_a_broad_thing_of_no_skins_hue_is_found(face):
    found, _ = foreign(face, (0.25, 0.12, 0.45, 0.4), colour=(0.1, 0.5, 0.2))
    assert found > 0.9


def test_beside_glasses_gloss_is_found_and_elsewhere_it_is_skin(face):
    """A bright spot: on the forehead it is a shine, at a rim that the parser saw it is the lens's."""
    spot, pale = (0.3, 0.2, 0.36, 0.25), (0.98, 0.95, 0.93)
    assert foreign(face, spot, pale)[0] == 0
    masks = face.observation.part_masks.clone()
    side = masks.shape[-1]
    masks[:, MASKS.index("occluder"), int(0.3 * side) : int(0.32 * side), int(0.2 * side) : int(0.5 * side)] = 1
    worn = replace(face, observation=replace(face.observation, part_masks=masks))
    assert foreign(worn, spot, pale)[0] > 0.6


def test_short_pieces_by_themselves():
    mask, over = np.zeros((2, 40, 40), bool)
    mask[5:9, 5:9] = mask[5:9, 20:24] = mask[20, 5:35] = True
    over[5, 20] = True
    single = _single(mask, over, 10.0)
    assert single[5:9, 5:9].all() and single.sum() == 16


def test_a_strand_over_gloss_is_found_and_a_level_wrinkle_or_a_dent_is_not():
    row, column = np.mgrid[:160, :160].astype(float)
    place = np.stack([column / 2, -row / 2, 0 * row], 2)  # half a millimetre a pixel
    bright = 0.5 * np.exp(-((row - 50) ** 2 + (column - 60) ** 2) / 2 / 30**2)
    strand = (np.abs(row - 20 - 0.6 * (column - 20)) < 1.2) & (column > 20) & (column < 100)
    wrinkle = (np.abs(row - 120) < 1.5) & (column > 20) & (column < 130)
    dent = np.hypot(row - 40, column - 125) < 12
    bright -= 0.15 * strand + 0.2 * wrinkle + 0.2 * dent
    free = np.ones(bright.shape, bool)
    found = _strands(bright, free, place, 0.5)
    assert found[strand].mean() > 0.9 and found[~strand].mean() < 0.01
    assert not _strands(bright, row > 110, place, 0.5).any()
    assert not _strands(bright, ~free, place, 0.5).any()
