"""The map from what the landmark stage leaves over to what a shape lacks, learned from people who are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facefit.files import bundled_arrays
from facefit.fit import identity_guess
from facefit.fit.identity_guess import load_identity_guess
from training.observation.guess import RANK, Lesson, held_to, learned, observed, without_mean, write

POINTS, EDGES, SEEN = 30, 50, 400


@pytest.fixture(scope="module")
def taught() -> Lesson:
    """People of two models. What they lack: what the features show, each model's own mean, a little noise;
    the last point is none that both models have."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(SEEN, 8))
    features = (hidden @ rng.normal(size=(8, 6 * POINTS + EDGES)) + 0.1).astype(np.float32)
    head = np.arange(SEEN) % 2
    way = rng.normal(size=(8, 3 * POINTS)) / 4
    lacking = (hidden @ way + rng.normal(size=(SEEN, 3 * POINTS)) / 50).reshape(SEEN, POINTS, 3)
    lacking += np.where(head == 0, 1.0, -2.0)[:, None, None]
    lacking[:, -1] = 0
    return Lesson(features, lacking.astype(np.float32), head)


def _straight(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return arrays["inward"].astype(np.float32) @ arrays["outward"].astype(np.float32)


def test_a_linear_map_is_found_again(taught):
    arrays = learned(taught[np.arange(SEEN) < 300])
    assert all(value.dtype == np.float16 for value in arrays.values())
    assert arrays["inward"].shape == (6 * POINTS + EDGES, RANK) and arrays["outward"].shape == (RANK, 3 * POINTS)
    found = held_to(taught[np.arange(SEEN) >= 300], arrays)
    assert found["with the map"] < 0.6 * found["without mean"] < 0.6 * found["stage"]


def test_what_a_models_people_have_in_common_is_not_learned(taught):
    moved = replace(taught, lacking=taught.lacking + taught.head[:, None, None].astype(np.float32) * 5)
    first, other = (_straight(learned(each)) for each in (taught, moved))
    np.testing.assert_allclose(first, other, atol=1e-3)
    assert abs(without_mean(moved)[moved.head == 1].mean()) < 1e-4


def test_a_point_that_one_model_lacks_is_not_moved(taught):
    straight = _straight(learned(taught)).reshape(-1, POINTS, 3)
    assert np.abs(straight[:, -1]).max() < 1e-4 < 0.01 < np.abs(straight[:, 0]).max()


def test_the_fit_reads_what_was_written(taught, tmp_path, monkeypatch):
    arrays = learned(taught)
    write(arrays, tmp_path / identity_guess.FILE)
    monkeypatch.setattr(bundled_arrays, "bundled", lambda name: tmp_path / name)
    load_identity_guess.cache_clear()
    said = load_identity_guess().displacement(torch.from_numpy(taught.features[:2])).numpy()
    load_identity_guess.cache_clear()
    mean, inward, outward = (arrays[name].astype(np.float32) for name in ("mean", "inward", "outward"))
    np.testing.assert_allclose(said.reshape(2, -1), (taught.features[:2] - mean) @ inward @ outward, atol=1e-4)


def test_a_stored_crop_is_seen_under_its_own_lens():
    """A pixel of the crop is 1.5 mm at 900 mm: the focal length is 600 of its pixels; what is no skin is not shown."""
    rng = np.random.default_rng(1)
    labels = np.zeros((72, 72), np.uint8)
    labels[10:20, 30:40] = 1
    row = {
        "camera": np.array([900.0, 2.0, 1.5], np.float32), "labels": labels,
        "image": rng.integers(0, 255, (144, 144, 3)).astype(np.uint8),
        "landmarks": rng.uniform(20, 120, (478, 3)).astype(np.float32),
    }  # fmt: skip
    asked = {}

    class Look:
        def look(self, image, landmarks, valid):
            asked.update(image=image, valid=valid)
            return np.ones((4, 4), np.float32), np.ones((5, 5), np.float32)

    seen = observed(row, Look())
    assert seen.camera.focal.tolist() == [[600.0, 600.0]] and seen.camera.centre.tolist() == [[72.0, 72.0]]
    assert asked["image"].max() <= 1 and asked["valid"].shape == (144, 144)
    assert asked["valid"][20:40, 60:80].all() and asked["valid"].sum() == 400
    assert seen.dense_points.shape == (1, 4, 4) and seen.identity.shape == (1, 0)
    np.testing.assert_allclose(seen.landmarks[0], row["landmarks"][:, :2])
