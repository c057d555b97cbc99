"""Spoilt input is spoilt as announced, the same way every time, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.report.corruption import (
    COVERED,
    MISSING,
    OFFSET,
    face_size,
    generator,
    landmarks_scattered,
    landmarks_shifted,
    masks_covered,
    masks_missing,
    masks_ragged,
    photo_covered,
)
from facefit.anatomy.parts import MASKS
from facefit.geometry.camera import Camera, WindowTransform
from facefit.observe.observation import Observation
from facefit.photo.photo import Photo

SIZE = 64


def observation() -> Observation:
    rng = np.random.default_rng(0)
    landmarks = torch.from_numpy(rng.uniform(12, 52, (1, 478, 2)).astype(np.float32))
    masks = torch.zeros(1, len(MASKS), SIZE, SIZE)
    masks[0, MASKS.index("skin"), 10:54, 10:54] = 1
    for place, name in enumerate(("left_eye", "right_eye", "left_brow", "nose", "lower_lip", "upper_lip")):
        masks[0, MASKS.index(name), 14 + 6 * place : 18 + 6 * place, 20:44] = 1
        masks[0, MASKS.index("skin"), 14 + 6 * place : 18 + 6 * place, 20:44] = 0
    return Observation(
        image=torch.zeros(1, SIZE, SIZE, 3), landmarks=landmarks, landmark_confidence=torch.ones(1, 478),
        part_masks=masks, valid=torch.ones(1, SIZE, SIZE), brow_line=torch.tensor([[[0.0, -1.0, 9.0]] * 2]),
        camera=Camera(torch.full((1, 2), 300.0), torch.full((1, 2), 32.0)),
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), SIZE),
    )  # fmt: skip


@pytest.mark.parametrize("spoil", [landmarks_scattered, landmarks_shifted])
def test_half_of_the_landmarks_move_by_a_twentieth_of_the_face(spoil):
    seen = observation()
    moved = (spoil(seen, generator("a")).landmarks - seen.landmarks)[0]
    length = moved.norm(dim=1)
    assert int((length > 0).sum()) == 239
    expected = OFFSET * face_size(seen.landmarks[0].numpy())
    assert torch.allclose(length[length > 0], torch.tensor(expected).float(), rtol=1e-3)
    spread = (moved[length > 0] / expected).mean(0).norm()
    assert spread > 0.999 if spoil is landmarks_shifted else spread < 0.2
    assert torch.equal(seen.landmarks, observation().landmarks)  # the input stays


def test_the_same_name_is_spoilt_in_the_same_way():
    first, again = (landmarks_scattered(observation(), generator("a")).landmarks for _ in range(2))
    other = landmarks_scattered(observation(), generator("b")).landmarks
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_missing_parts_become_skin():
    seen = observation()
    masks = masks_missing(seen, generator("a")).part_masks[0]
    for name in MISSING:
        before = seen.part_masks[0, MASKS.index(name)] > 0.5
        assert not masks[MASKS.index(name)].any()
        assert masks[MASKS.index("skin")][before].all()
    kept = MASKS.index("upper_lip")
    assert torch.equal(masks[kept], seen.part_masks[0, kept])


def test_a_cover_cuts_parts_and_stays_on_the_masks():
    seen = observation()
    masks = masks_covered(seen, generator("a")).part_masks[0]
    skin = MASKS.index("skin")
    gained = (masks[skin] > 0.5) & (seen.part_masks[0, skin] < 0.5)
    radius = COVERED * face_size(seen.landmarks[0].numpy())
    assert 0 < int(gained.sum()) <= np.pi * (radius + 1) ** 2
    inner = [k for k in range(8) if k != skin]
    assert not (masks[inner].amax(0) > 0.5)[gained].any()


def test_ragged_borders_move_a_little():
    seen = observation()
    masks = masks_ragged(seen, generator("a")).part_masks
    a, b = (value[0, MASKS.index("nose")] > 0.5 for value in (seen.part_masks, masks))
    share = float((a & b).sum() / (a | b).sum())
    assert 0.4 < share < 1.0


def test_a_disc_is_painted_on_the_photo():
    pixels = np.full((80, 80, 3), 200, np.uint8)
    points = observation().landmarks[0].numpy()
    covered = photo_covered(Photo(pixels, Path("a.png"), None), points, generator("a")).pixels
    changed = (covered != pixels).any(-1)
    assert 0.5 < changed.sum() / (np.pi * (COVERED * face_size(points)) ** 2) < 1.2
    assert (pixels == 200).all()
