"""facefit: fits a 3D morphable face model to one photo. See facefit.fit.descent for the page that does it."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from .version import VERSION as __version__

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` imports the same names
    from .convert.conversion_files import convert_file as convert_file
    from .errors import FaceFitError as FaceFitError
    from .fit.config import FitConfig as FitConfig
    from .fit.config import preset as preset
    from .fit.fit import fit_batch as fit_batch
    from .fit.fit import fit_photo as fit_photo
    from .fit.result import FitFailure as FitFailure
    from .fit.result import FitResult as FitResult
    from .fit.warm_start import WarmStart as WarmStart
    from .model.face_model import FaceModel as FaceModel
    from .model.model_file import load_model as load_model
    from .observe.observation import Observation as Observation
    from .observe.parse import parse_photo as parse_photo
    from .output.face import Face as Face
    from .output.face import load as load
    from .output.pictures import labels as labels
    from .output.pictures import overlay as overlay
    from .output.write import write_result as write_result
    from .person.fit_person import fit_person as fit_person
    from .photo.photo import Photo as Photo
    from .photo.photo import read_photo as read_photo
    from .scene.parameters import Parameters as Parameters
    from .sequence.fit_sequence import fit_sequence as fit_sequence

# Threads that wait should sleep: torch's OpenMP threads otherwise spin against numba's and ours on a small machine, and
# an iteration takes twice as long. Must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# NumPy solves systems of 158 unknowns: a second BLAS thread costs more than it brings (9 ms alone, 16 to 30 with two).
# Before NumPy, for the same reason.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_PUBLIC = {  # name -> the module below this one that has it
    "Face": ".output.face",
    "FaceFitError": ".errors",
    "FaceModel": ".model.face_model",
    "FitConfig": ".fit.config",
    "FitFailure": ".fit.result",
    "FitResult": ".fit.result",
    "Observation": ".observe.observation",
    "Parameters": ".scene.parameters",
    "Photo": ".photo.photo",
    "WarmStart": ".fit.warm_start",
    "convert_file": ".convert.conversion_files",
    "fit_batch": ".fit.fit",
    "fit_person": ".person.fit_person",
    "fit_photo": ".fit.fit",
    "fit_sequence": ".sequence.fit_sequence",
    "labels": ".output.pictures",
    "load": ".output.face",
    "load_model": ".model.model_file",
    "overlay": ".output.pictures",
    "parse_photo": ".observe.parse",
    "preset": ".fit.config",
    "read_photo": ".photo.photo",
    "write_result": ".output.write",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Public names, imported when they are used: `import facefit` itself loads neither torch nor numba."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
