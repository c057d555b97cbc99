"""Pores where none were seen, and only there."""

import numpy as np

from facefit.output.skin_pattern import carry_on

SIZE = 128


def test_a_pattern_goes_on_beyond_its_border_and_fades():
    rng = np.random.default_rng(0)
    base = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    told = np.zeros((SIZE, SIZE), np.float32)
    told[:, : SIZE // 2] = 1
    texture = base + told[..., None] * rng.normal(0, 0.02, base.shape).astype(np.float32)
    texture[:, 52:54] -= 0.4  # a furrow beside the border
    skin = np.ones((SIZE, SIZE), bool)
    skin[:20] = False
    before = texture.copy()
    texture = carry_on(texture, base, told, skin, 40.0, 0.03)
    assert (texture[:, : SIZE // 2] == before[:, : SIZE // 2]).all() and (texture[:20] == before[:20]).all()
    added = (texture - base)[24:]
    near, middle, far = added[:, 66:76].std(), added[:, 82:92].std(), added[:, 106:]
    assert 0.006 < near < 0.03 and middle < 0.7 * near and (far == 0).all()
    assert np.abs(added[:, 64:]).max() < 0.03


def test_nothing_to_go_on():
    texture = np.full((16, 16, 3), 0.5, np.float32)
    skin = np.ones((16, 16), bool)
    found = carry_on(texture, texture, np.zeros((16, 16), np.float32), skin, 8.0, 0.1)
    assert (found == 0.5).all()
