"""Arrays that come with facefit."""

import numpy as np
import pytest

from facefit.errors import FaceFitError
from facefit.files import bundled_arrays as module
from facefit.files.bundled_arrays import bundled_arrays


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "bundled", lambda name: tmp_path / name)
    return tmp_path


def test_arrays_come_in_the_order_asked_for(folder):
    np.savez(folder / "some.npz", a=np.arange(3), b=np.ones((2, 2)), c=np.zeros(1))
    b, a = bundled_arrays("some.npz", ("b", "a"), "`make some` makes it")
    np.testing.assert_array_equal(a, [0, 1, 2])
    assert b.shape == (2, 2)


@pytest.mark.parametrize("content", [None, b"", b"PK", "short", "lacking"])
def test_a_file_that_is_missing_or_damaged_is_named_with_the_remedy(folder, content):
    path = folder / "some.npz"
    if content == "lacking":
        np.savez(path, a=np.arange(3))
    elif content == "short":
        np.savez_compressed(path, a=np.arange(3), b=np.random.default_rng(0).random(999))
        path.write_bytes(path.read_bytes()[:4000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(FaceFitError, match=r"some\.npz: (no such|damaged) file.*; `make some` makes it"):
        bundled_arrays("some.npz", ("a", "b"), "`make some` makes it")
