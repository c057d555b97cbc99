"""What follows from a value is made once, kept no longer than the value, and can be seen and dropped."""

import gc
import pickle
import subprocess
import sys
import weakref
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from facefit.compute.derived import derived, forget, kept


@dataclass(frozen=True)
class Shape:
    sides: np.ndarray


def test_it_is_made_once_for_each_value_and_key():
    calls = []

    def count(shape):
        calls.append(shape)
        return len(shape.sides)

    square, other = Shape(np.zeros(4)), Shape(np.zeros(3))
    assert [derived(square, "count", count) for _ in range(3)] == [4, 4, 4]
    assert derived(other, "count", count) == 3
    assert derived(square, ("count", 2), lambda shape: 2 * len(shape.sides)) == 8
    assert len(calls) == 2
    assert kept(square) == ("count", ("count", 2))
    assert kept(other) == ("count",)


@pytest.mark.parametrize("value", [np.arange(3), torch.arange(3)], ids=["array", "tensor"])
def test_values_without_a_hash_of_their_own_have_it_too(value):
    assert derived(value, "sum", lambda v: int(v.sum())) == 3
    assert kept(value) == ("sum",)


def test_equal_values_do_not_share():
    first, second = torch.arange(3), torch.arange(3)
    derived(first, "sum", lambda v: "first")
    assert derived(second, "sum", lambda v: "second") == "second"


def test_none_and_false_are_kept_like_anything_else():
    value, calls = Shape(np.zeros(1)), []
    for _ in range(2):
        assert derived(value, "nothing", lambda v: calls.append(1)) is None
    assert len(calls) == 1


def test_what_was_made_goes_with_its_value():
    value = Shape(np.zeros(2))
    made = derived(value, "array", lambda v: np.ones(2))
    gone = weakref.ref(made)
    del made
    assert gone() is not None
    del value
    gc.collect()
    assert gone() is None


def test_a_later_value_at_the_same_place_in_memory_begins_anew():
    for number in range(100):  # freed and allocated: Python takes the same place again
        value = Shape(np.zeros(number))
        assert derived(value, "count", lambda v: len(v.sides)) == number


def test_copies_begin_without_it():
    value = Shape(np.zeros(2))
    derived(value, "count", lambda v: len(v.sides))
    assert kept(replace(value)) == kept(pickle.loads(pickle.dumps(value))) == ()
    assert vars(value).keys() == {"sides"}


def test_it_can_be_dropped():
    one, two = Shape(np.zeros(1)), Shape(np.zeros(2))
    for value in (one, two):
        derived(value, "count", lambda v: len(v.sides))
    forget(one)
    assert (kept(one), kept(two)) == ((), ("count",))
    forget()
    assert kept(two) == ()
    assert derived(two, "count", lambda v: "again") == "again"


def test_what_could_not_be_made_is_tried_again():
    value = Shape(np.zeros(1))
    with pytest.raises(ZeroDivisionError):
        derived(value, "bad", lambda v: 1 / 0)
    assert derived(value, "bad", lambda v: 1) == 1


def test_nothing_is_said_when_python_ends():
    """What is kept may be dropped after this module's own names are gone."""
    code = """
import sys
import numpy as np
import facefit.compute.derived
from facefit.compute.derived import derived
sys.kept_alive = [facefit.compute.derived]
value = np.zeros(3)
derived(value, "against the rule", lambda value: [value])
made = derived(value, "made", lambda value: value + 1)
derived(made, "made of that", lambda value: value + 1)
del made, value
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
