"""A smooth ramp, for arrays and inside numba's kernels."""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable


@register_jitable(inline="always")
def smoothstep(x):
    """Any number or array -> [0, 1]: 0 below 0, 1 above 1, between them 3 x^2 - 2 x^3, level at both ends."""
    x = np.minimum(np.maximum(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
