"""Measurements: speed on this machine, and quality on folders of photos with known answers."""

import facefit  # noqa: F401  (before torch: it sets how OpenMP's threads wait, and torch reads that when it is loaded)
