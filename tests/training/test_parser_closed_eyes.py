"""The two kinds of people differ by their lids alone."""

import numpy as np

from facefit.synth.people import random_person
from training.parser.closed_eyes import lids


def test_only_the_lids_of_the_others_are_moved(open_head):
    person = random_person(open_head, np.random.default_rng(5))
    person.expression.update(eyeBlinkLeft=0.5, jawOpen=0.6)
    rng = np.random.default_rng(0)
    opened, shut, wink = (lids(person, wanted, open_head, rng) for wanted in (None, "closed-eyes", "wink"))
    assert opened.expression == {k: v for k, v in person.expression.items() if not k.startswith("eyeBlink")}
    blinks = [[each.expression.get(f"eyeBlink{side}", 0.0) for side in ("Left", "Right")] for each in (shut, wink)]
    assert min(blinks[0]) > 0.9 and sorted(value > 0.9 for value in blinks[1]) == [False, True]
    for each in (opened, shut, wink):
        assert each.pose == person.pose and abs(each.expression["jawOpen"] - 0.6) < 1e-6
        assert np.array_equal(each.identity, person.identity) and np.array_equal(each.gaze, person.gaze)
