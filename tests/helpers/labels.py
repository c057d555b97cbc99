"""Label pictures of a window, and what they say at a point."""

import numpy as np

SIZE = 224  # pixels a side


def at(labels: np.ndarray, point: np.ndarray) -> int:
    return int(labels[int(point[1]), int(point[0])])
