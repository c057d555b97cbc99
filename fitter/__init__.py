"""facefit: fits a 3D morphable face model to one photo. See facefit.fit.fit for the page that does it."""

from __future__ import annotations

import importlib
import os

# Threads that wait should sleep: torch's OpenMP threads otherwise spin against numba's and ours on a small machine, and
# an iteration takes twice as long. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# NumPy solves systems of 158 unknowns: a second BLAS thread costs more than it brings (9 ms alone, 16 to 30 with two).
# Before NumPy, for the same reason.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_PUBLIC = {
    "fit_batch": "facefit.fit.fit",
    "fit_photo": "facefit.fit.fit",
    "FaceModel": "facefit.model.face_model",
    "load_model": "facefit.model.model_file",
    "FitConfig": "facefit.fit.config",
    "FitFailure": "facefit.fit.result",
    "FitResult": "facefit.fit.result",
    "Observation": "facefit.observe.observation",
    "Parameters": "facefit.scene.parameters",
    "read_photo": "facefit.photo.photo",
    "WarmStart": "facefit.fit.warm_start",
    "write_result": "facefit.output.write",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    """Public names, imported when they are used: `import facefit` itself loads neither torch nor numba."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'facefit' has no attribute {name!r}")
