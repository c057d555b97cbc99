"""The smooth ramp, for arrays and for compiled code."""

import numpy as np
from numba import njit

from facefit.compute.smoothstep import smoothstep


def test_by_hand():
    assert smoothstep(np.array([-1, 0, 0.25, 0.5, 1, 2])).tolist() == [0, 0, 0.15625, 0.5, 1, 1]


def test_compiled_the_same():
    compiled = njit(lambda x: smoothstep(x))
    values = np.linspace(-0.5, 1.5, 41)
    assert [compiled(x) for x in values] == smoothstep(values).tolist()
