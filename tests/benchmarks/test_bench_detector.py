"""The comparison of two detectors' answers."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.bench_detector import SETS, Answers, compare, photos, turned


def answers(names, counts, shift=0.0):
    faces = sum(counts)
    landmarks = np.zeros((faces, 478, 2))
    landmarks[:, 263, 0] = 50
    landmarks[:, 7, 1] = shift
    depth = np.full((faces, 478), 2 * shift)
    return Answers(
        np.array(names), np.array(counts), np.full(len(names), 0.05), landmarks, depth, np.full(faces, 0.9 - shift / 10)
    )


def test_only_photos_are_looked_at(tmp_path):
    for name in SETS:
        (tmp_path / name).mkdir()
    for name in ("a.png", "a_label.png", "b.JPG", "b_mask.png", "c_parts.png", "index.json"):
        if not name.endswith("json"):
            Image.new("RGB", (4, 4)).save(tmp_path / "wild" / name)
    assert [path.name for path in photos(tmp_path)] == ["a.png", "b.JPG"]


def test_the_name_tells_how_far_a_head_is_turned():
    assert turned("fasseg_train/v3_p07s2_-90.png") and turned("v3_p01s1_+60.png")
    assert not turned("v3_p01s1_+45.png") and not turned("wild/profile_90.png")


def test_moves_are_in_percent_of_the_eye_distance():
    names = ["fasseg/v3_p01s1_+30.png", "fasseg/v3_p01s1_+90.png", "wild/two.png"]
    theirs = answers(names, [1, 1, 2])
    lines = {line[:32].strip(): line[32:].split() for line in compare(answers(names, [1, 1, 2], shift=0.5), theirs)}
    faces, mean, worst, depth, score = (
        " ".join(lines["all, up to 45 degrees"][:3]),
        *lines["all, up to 45 degrees"][3:],
    )
    assert faces == "3 of 3" and float(worst) == 1.0 and float(mean) == pytest.approx(1 / 478, abs=1e-4)
    assert float(depth) == 2.0 and float(score) == 0.05
    assert lines["fasseg, beyond 45 degrees"][:3] == ["1", "of", "1"]


def test_other_numbers_of_faces_are_named_and_faces_stay_in_step():
    names = ["wild/a.png", "wild/b.png"]
    text = "\n".join(compare(answers(names, [2, 1]), answers(names, [1, 1])))
    assert "wild/a.png: 2 faces, 1 before" in text and "3 of 2" in text
    with pytest.raises(ValueError, match="other photos"):
        compare(answers(names, [1, 1]), answers(["wild/a.png", "wild/c.png"], [1, 1]))
