"""Lids follow masks that show less of an eye than its outline, and only then."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facefit.anatomy.landmarks import LEFT_EYE, LEFT_LID_PAIRS, RIGHT_EYE, RIGHT_LID_PAIRS
from facefit.anatomy.parts import MASKS
from facefit.geometry.camera import Camera, WindowTransform
from facefit.geometry.polygon import polygon_area, polygon_pixels
from facefit.observe.lids import lids_by_masks
from facefit.observe.observation import Observation

SIZE = 128
CENTRES = {"right_eye": (40.0, 60.0), "left_eye": (88.0, 60.0)}
EYES = {"right_eye": (RIGHT_EYE, RIGHT_LID_PAIRS, (33, 133)), "left_eye": (LEFT_EYE, LEFT_LID_PAIRS, (263, 362))}


def observation(opening: float = 0.15, filled: float = 1.0) -> Observation:
    """Two elliptic eyes of width 30 whose lids are `opening` of it apart; masks fill a share of each from below."""
    landmarks = np.zeros((478, 2), np.float32)
    masks = np.zeros((len(MASKS), SIZE, SIZE), np.float32)
    for name, (loop, pairs, (outer, inner)) in EYES.items():
        x, y = CENTRES[name]
        side = 1 if name == "left_eye" else -1
        landmarks[outer], landmarks[inner] = (x + 15 * side, y), (x - 15 * side, y)
        for place, (upper, lower) in enumerate(pairs):
            along = (place + 1) / (len(pairs) + 1) * 2 - 1
            half = 15 * opening * 1.3 * np.sqrt(1 - along**2)
            landmarks[upper] = x - 15 * along * side, y - half
            landmarks[lower] = x - 15 * along * side, y + half
        eye = polygon_pixels((SIZE, SIZE), landmarks[list(loop)]).astype(np.float32)
        rows = np.cumsum(eye[::-1].sum(1))[::-1]
        eye[rows > filled * eye.sum() + 1e-6] = 0
        masks[MASKS.index(name)] = eye
    return Observation(
        image=torch.zeros(1, SIZE, SIZE, 3), landmarks=torch.from_numpy(landmarks)[None],
        landmark_confidence=torch.ones(1, 478), part_masks=torch.from_numpy(masks)[None],
        valid=torch.ones(1, SIZE, SIZE), brow_line=torch.tensor([[[0.0, -1.0, 9.0]] * 2]),
        camera=Camera(torch.full((1, 2), 300.0), torch.full((1, 2), 64.0)),
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), SIZE),
    )  # fmt: skip


def openings(seen: Observation, name: str = "right_eye") -> float:
    pairs = torch.tensor(EYES[name][1])
    return float((seen.landmarks[0, pairs[:, 0]] - seen.landmarks[0, pairs[:, 1]]).norm(dim=-1).mean())


def test_area_of_a_square():
    assert polygon_area(torch.tensor([[[0.0, 0.0], [2, 0], [2, 2], [0, 2]]])).tolist() == [4.0]


@pytest.mark.parametrize("filled", [0.0, 0.4])
def test_narrow_lids_close_as_far_as_the_mask(filled):
    seen = observation(0.15, filled)
    closed = lids_by_masks(seen)
    assert openings(closed) / openings(seen) == pytest.approx(filled, abs=0.15)
    moved = (closed.landmarks != seen.landmarks).any(-1)[0]
    uppers = {pair[0] for _, pairs, _ in EYES.values() for pair in pairs}
    assert set(torch.nonzero(moved).flatten().tolist()) <= uppers  # the lower lid and the corners stay


def test_a_wink_closes_one_eye():
    seen = observation(0.15)
    masks = seen.part_masks.clone()
    masks[:, MASKS.index("left_eye")] = 0
    winked = lids_by_masks(replace(seen, part_masks=masks))
    assert openings(winked, "left_eye") < 1e-4
    assert openings(winked, "right_eye") == pytest.approx(openings(seen), rel=0.15)


def test_wide_open_eyes_stay_whatever_the_mask():
    seen = observation(0.4, 0.0)
    assert torch.equal(lids_by_masks(seen).landmarks, seen.landmarks)


def test_covered_eyes_stay():
    seen = observation(0.15, 0.0)
    masks = seen.part_masks.clone()
    masks[:, MASKS.index("hair"), :, : SIZE // 2] = 1
    closed = lids_by_masks(replace(seen, part_masks=masks))
    assert openings(closed, "right_eye") == openings(seen, "right_eye")
    assert openings(closed, "left_eye") < 1e-4


def test_faces_of_a_batch_do_not_mix():
    first, second = observation(0.15, 0.3), observation(0.4, 0.0)
    both = Observation(**{
        name: type(a)(*[torch.cat([getattr(a, f), getattr(b, f)]) for f in ("focal", "centre")])
        if name == "camera" else WindowTransform(torch.zeros(2, 2), torch.ones(2), SIZE) if name == "window"
        else torch.cat([a, b])
        for name, a, b in ((n, getattr(first, n), getattr(second, n)) for n in first.__dataclass_fields__)
    })  # fmt: skip
    together = lids_by_masks(both).landmarks
    assert torch.allclose(together[0], lids_by_masks(first).landmarks[0])
    assert torch.equal(together[1], second.landmarks[0])
