"""Means, intervals that know people, and the share of a loss that is recovered."""

import numpy as np
import pytest

from benchmarks.report.statistics import mean_of, person_of, ratio_of
from benchmarks.report.tables import bars, closed_bar, difference, recovered, spoilt_table, variant_table, verdict


def test_mean_and_interval_of_normal_numbers():
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    mean = mean_of(values)
    assert mean.value == pytest.approx(values.mean()) and (mean.count, mean.people) == (400, 400)
    half = 1.96 * values.std() / 20
    assert mean.low == pytest.approx(mean.value - half, abs=0.15 * half)
    assert mean.high == pytest.approx(mean.value + half, abs=0.15 * half)


def test_photos_of_one_person_widen_the_interval():
    people = np.repeat(np.random.default_rng(2).normal(0.0, 1.0, 8), 20)
    names = np.repeat([f"p{k}" for k in range(8)], 20)
    alone, together = mean_of(people), mean_of(people, names)
    assert together.people == 8 and together.value == alone.value
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_nothing_has_no_mean_and_one_person_no_interval():
    assert mean_of([]) is None
    one = mean_of([0.5, 0.7], ["a", "a"])
    assert one.text() == "0.600"
    assert mean_of([1.0, 1.0]).text(1) == "1.0 [1.0, 1.0]"
    with pytest.raises(ValueError, match="3 values of 2 people"):
        mean_of([1, 2, 3], ["a", "b"])


def test_ratio_is_of_sums():
    share = ratio_of([1.0, 3.0], [4.0, 4.0])
    assert share.value == 0.5 and share.low >= 0.25 and share.high <= 0.75
    assert ratio_of([1.0], [0.0]) is None


@pytest.mark.parametrize(
    ("key", "person"),
    [("fasseg/v3_p01s1_+15", "v3_p01"), ("fasseg/v2_train_03", "v2_train_03"), ("blinks/ict_03_wink_left", "ict_03"),
     ("synthetic/lps_02", "lps_02")],
)  # fmt: skip
def test_who_is_in_the_photo(key, person):
    assert person_of(key) == person


def row(name: str, **figures) -> dict:
    return {"set": name, "group": "a", **figures}


def runs_by_hand() -> dict:
    def photos(first: float, second: float) -> dict:
        return {"fasseg/v2_1": row("fasseg", iou=first), "fasseg/v2_2": row("fasseg", iou=second)}

    return {
        "landmark": photos(0.80, 0.70), "prdl": photos(0.82, 0.74), "full": photos(0.84, 0.76),
        "landmarks_shifted.landmark": photos(0.60, 0.60), "landmarks_shifted.prdl": photos(0.70, 0.65),
    }  # fmt: skip


def test_recovered_is_the_share_of_what_landmarks_alone_lose():
    runs = runs_by_hand()
    assert recovered(runs, "landmarks_shifted", "prdl").value == pytest.approx((0.10 + 0.05) / (0.20 + 0.10))
    assert recovered(runs, "landmarks_shifted", "full") is None


def test_bars_say_what_was_not_measured():
    measured = {(bar.what, bar.note.split(";")[0]): bar for bar in bars(runs_by_hand())}
    gain = next(bar for (what, _), bar in measured.items() if what.startswith("fasseg"))
    assert gain.value == pytest.approx(0.05) and gain.met
    surface = next(bar for (what, _), bar in measured.items() if what.startswith("synthetic"))
    assert surface.value is None and surface.note == "not measured"
    assert closed_bar({}).value is None


def test_differences_are_paired():
    a = {"x/1": {"iou": 0.5}, "x/2": {"iou": 0.1}, "x/3": {}}
    b = {"x/1": {"iou": 0.6}, "x/3": {"iou": 0.9}}
    change = difference(a, b, "iou")
    assert change.value == pytest.approx(0.1) and change.count == 1


def test_verdict_needs_an_interval_beyond_zero():
    up, unsure = mean_of([0.1, 0.11, 0.12]), mean_of([-0.1, 0.1, 0.02])
    assert verdict(up, True) == "better" and verdict(up, False) == "worse"
    assert verdict(unsure, True) == "" and verdict(None, True) == ""


def test_tables_hold_the_counts():
    runs = runs_by_hand()
    lines = variant_table(runs).splitlines()
    assert lines[0].startswith("| set | figure | energies")
    (full,) = [line for line in lines if "all (default)" in line]
    assert "0.800" in full and "+0.050" in full and full.endswith("| better | 2 |")
    (spoilt,) = [line for line in spoilt_table(runs).splitlines() if "+ PRDL" in line]
    assert "| 0.780 | 0.675" in spoilt and "-0.105" in spoilt
