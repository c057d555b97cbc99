"""What this machine has and lacks for facefit: one line each, and the command that mends it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from ..compute.machine import free_memory
from ..version import VERSION
from .options import CACHE_FIX, NO_CACHE

PACKAGE = Path(__file__).resolve().parents[1]
GOOD, NOTE, BAD = "ok", "--", "NO"

MEMORY_NEEDED = 1.5e9  # bytes: what one fit may use

PYTHON = ((3, 11), (3, 14))

# What works on pictures and meshes: distribution -> module
LIBRARIES = {
    "scipy": "scipy", "scikit-image": "skimage", "pillow": "PIL", "pi-heif": "pi_heif", "imageio": "imageio",
    "trimesh": "trimesh",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One line of the report. `state` is GOOD, NOTE (optional, missing) or BAD (facefit will not work)."""

    name: str
    state: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"[{self.state}] {self.name:<12} {self.text}" + (f"; fix: {self.fix}" if self.fix else "")


def examine(model: str | None = None) -> Iterator[Check]:
    """Run every check. One that fails in a way nobody thought of is a BAD line and no crash."""
    checks: dict[str, Callable[[], Check]] = {
        "python": _python,
        "facefit": _facefit,
        "torch": _torch,
        "cuda": _cuda,
        "nvdiffrast": _nvdiffrast,
        "numba": _numba,
        "libraries": _libraries,
        "networks": _networks,
        "parser": _parser,
        "model": lambda: _model(model),
        "memory": _memory,
        "cache": _cache,
    }
    for name, check in checks.items():
        try:
            yield check()
        except Exception as error:  # a broken install breaks in any way; that is what doctor is asked to report
            text = " ".join(str(error).split())
            fix = CACHE_FIX if NO_CACHE in text else "reinstall facefit"
            yield Check(name, BAD, f"{type(error).__name__}: {text}", fix)


def _python() -> Check:
    text = f"{sys.version.split()[0]} ({sys.platform}, {os.cpu_count()} cores)"
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        return Check("python", GOOD, text)
    return Check("python", BAD, text, "use Python 3.11, 3.12 or 3.13")


def _facefit() -> Check:
    return Check("facefit", GOOD, f"{VERSION} in {PACKAGE}")


def _package(name: str, module: str, install: str, optional: bool = False) -> tuple[Check, ModuleType | None]:
    """How an import went, and the module."""
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            return Check(name, BAD, f"cannot be imported ({error})", install), None
        if optional:
            return Check(name, NOTE, "not installed (optional)", install), None
        return Check(name, BAD, "not installed", install), None
    except Exception as error:  # a broken wheel raises anything
        text = " ".join(str(error).split())
        return Check(name, NOTE if optional else BAD, f"cannot be imported ({text})", install), None
    try:
        number = version(name)
    except PackageNotFoundError:
        number = str(getattr(loaded, "__version__", "unknown version"))
    return Check(name, GOOD, number), loaded


def _torch() -> Check:
    check, torch = _package("torch", "torch", "pip install torch")
    return check if torch is None else Check("torch", GOOD, f"{torch.__version__}, {torch.get_num_threads()} threads")


def _cuda() -> Check:
    import torch

    if torch.cuda.is_available():
        place = torch.cuda.get_device_properties(0)
        text = f"{torch.version.cuda}, {place.name}, {place.total_memory / 1e9:.0f} GB"
        return Check("cuda", GOOD, text)
    if torch.version.cuda is None:
        return Check("cuda", NOTE, "this torch is built for CPU (enough; optional)", "with an NVIDIA GPU, a CUDA torch")
    return Check("cuda", NOTE, f"torch has CUDA {torch.version.cuda} but sees no GPU; fits run on CPU (optional)",
                 "with an NVIDIA GPU, install its driver")  # fmt: skip


def _nvdiffrast() -> Check:
    from ..render import NVDIFFRAST_INSTALL

    if importlib.util.find_spec("nvdiffrast") is None:
        return Check("nvdiffrast", NOTE, "not installed, the CPU renderer is used (optional)", NVDIFFRAST_INSTALL)
    return _package("nvdiffrast", "nvdiffrast.torch", NVDIFFRAST_INSTALL, optional=True)[0]


def _numba() -> Check:
    return _package("numba", "numba", "pip install numba")[0]


def _libraries() -> Check:
    """One line for all of them, or for the first that is missing."""
    checks = [_package(name, module, f"pip install {name}")[0] for name, module in LIBRARIES.items()]
    bad = [check for check in checks if check.state != GOOD]
    return bad[0] if bad else Check("libraries", GOOD, ", ".join(f"{check.name} {check.text}" for check in checks))


def _networks() -> Check:
    from ..errors import FaceFitError
    from ..fit.identity_guess import load_identity_guess
    from ..observe.dense import FILE as DENSE
    from ..observe.dense import load_dense
    from ..observe.face_networks import FILES, load_face_networks
    from ..observe.segment.person import FILE, load_person_network

    check, _ = _package("onnxruntime", "onnxruntime", "pip install onnxruntime")
    if check.state != GOOD:
        return replace(check, name="networks", text=f"onnxruntime is {check.text}")
    try:
        load_face_networks()
        load_person_network()
        load_dense()
        load_identity_guess()
    except FaceFitError as error:
        return Check("networks", BAD, " ".join(str(error).split()), "reinstall facefit, or make networks")
    return Check("networks", GOOD, f"onnxruntime {check.text}; {', '.join((*FILES, FILE, DENSE))} load")


def _parser() -> Check:
    from ..bundled import parser_path
    from ..observe.segment.face_parser import missing

    if missing() is not None:
        return Check("parser", NOTE, f"{parser_path()}: no such file, colours take its place (optional)",
                     "reinstall facefit, or make parser")  # fmt: skip
    return Check("parser", GOOD, parser_path().name)


def _model(path: str | None) -> Check:
    from ..bundled import model_path
    from ..errors import ModelError
    from ..model.model_file import load_model

    place = model_path() if path is None else Path(path)
    try:
        model = load_model(place)
    except ModelError as error:
        return Check("model", BAD, " ".join(str(error).split()), "make model" if path is None else "another --model")
    text = (
        f"{model.name} {model.version}, {model.verts.shape[0]} vertices, {model.license}, "
        f"{place.stat().st_size / 1e6:.1f} MB, sha256 {model.checksum[:16]}"
    )
    return Check("model", GOOD, f"{text} ({place})")


def _memory() -> Check:
    free = free_memory()
    if free is None:
        return Check("memory", NOTE, "this system does not tell how much is free")
    text = f"{free / 1e9:.1f} GB free"
    if free >= MEMORY_NEEDED:
        return Check("memory", GOOD, text)
    return Check("memory", BAD, f"{text}; a fit may need {MEMORY_NEEDED / 1e9:.1f}", "close other programs")


def _cache() -> Check:
    """Compiled kernels are kept beside the code, or in NUMBA_CACHE_DIR; without either each run compiles anew."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or PACKAGE)
    if os.access(folder, os.W_OK):
        return Check("cache", GOOD, f"compiled kernels are kept in {folder}")
    return Check("cache", NOTE, f"{folder} cannot be written", CACHE_FIX)
