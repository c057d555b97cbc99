"""Fixtures that every test may ask for, and what makes a run of all tests quick."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import signal
import tempfile
import zlib
from dataclasses import replace
from functools import cache, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import facefit  # noqa: F401  (before torch, which reads how its threads shall wait when it is loaded)

# What is heavy is imported where it is used: the process that only gives tests out to workers reads this file too.
if TYPE_CHECKING:
    from facefit.model.face_model import FaceModel
    from facefit.synth.dataset import Studio
    from facefit.synth.heads import Head
    from facefit.synth.options import SynthOptions

MEMORY = 4 << 30  # bytes that are free where tests have their folders in memory
_memory: list[str] = []  # the folder there, of the process that made it


def pytest_configure(config: pytest.Config) -> None:
    """Beside other workers of pytest-xdist each has one core, and so have the programs that its tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: programs under test inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("numprocesses", None):
        _folders_in_memory()
    if "PYTEST_XDIST_WORKER" in os.environ:
        import torch

        torch.set_num_threads(1)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        _compile_in_turn()
    os.fsync = lambda file: None  # some thousand of them; no test cuts the power, programs that tests start do them


def _folders_in_memory() -> None:
    """Tests make and remove some ten thousand files, and a disk that is told of each takes milliseconds for one."""
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY:
        _memory.append(tempfile.mkdtemp(prefix="facefit-tests-", dir=memory))
        os.environ["TMPDIR"], tempfile.tempdir = _memory[0], None  # workers and the programs of tests inherit it


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """What programs under test have left goes too; after failures it stays to be looked at."""
    for folder in _memory if exitstatus == 0 else ():
        shutil.rmtree(folder, ignore_errors=True)


def _compile_in_turn() -> None:
    """In a fresh checkout workers want the same kernels at once: one compiles, the others load what it has kept."""
    try:
        import fcntl
    except ImportError:
        return
    from numba.core.dispatcher import Dispatcher

    real = Dispatcher.compile
    file = os.open(Path(tempfile.gettempdir(), f"facefit-kernels-{os.getuid()}.lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def compile(self, signature):
        kernel = 1, zlib.crc32(f"{self.py_func.__module__}.{self.py_func.__name__}".encode())  # a byte for each
        with contextlib.suppress(OSError):  # threads of two workers that wait for each other: then both compile
            fcntl.lockf(file, fcntl.LOCK_EX, *kernel)
        try:
            return real(self, signature)
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, *kernel)

    Dispatcher.compile = compile


def pytest_collection_finish() -> None:
    """What costs a little in every test: collections of garbage look through all modules, and those stay anyway."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 50)  # and those of everything come five times as seldom as usual
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("torch") and isinstance(logger, logging.Logger):
            logger.propagate = (
                True  # to each of some fifty that do not, pytest would hang its handlers before every test
            )


@pytest.fixture(scope="session")
def toy_model() -> FaceModel:
    from helpers.toy_model import toy_arrays

    from facefit.model.model_file import from_arrays

    return from_arrays(toy_arrays())


@pytest.fixture(autouse=True)
def log_level() -> None:
    """A command leaves the level that its options asked for behind."""
    logging.getLogger("facefit").setLevel(logging.NOTSET)


@cache
def _bundled_model() -> FaceModel:
    from facefit.model.model_file import load_model

    return getattr(load_model, "__wrapped__", load_model)()  # not `loaded_once`, which asks for this one


@pytest.fixture(scope="session")
def default_model() -> FaceModel:
    """The bundled model, for tests that only read it."""
    from facefit.bundled import model_path

    if not model_path().is_file():
        pytest.skip("the face model is not built")
    return _bundled_model()


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory) -> Path:
    """The toy as a model file."""
    from helpers.toy_model import toy_arrays

    from facefit.model.model_file import save_arrays

    path = tmp_path_factory.mktemp("toy") / "toy.npz"
    save_arrays(path, toy_arrays())
    return path


@pytest.fixture(scope="session")
def toy_options(toy_file) -> SynthOptions:
    """Of `toy_people`."""
    from facefit.synth.options import SynthOptions

    return SynthOptions(people=2, photos=2, size=96, noise=0.01, mesh="npz", glasses=0.5, model=str(toy_file), seed=4)


@pytest.fixture(scope="session")
def toy_studio(toy_options, default_model) -> Studio:
    """Makes people of the toy."""
    from facefit.model.model_file import load_model
    from facefit.synth import heads
    from facefit.synth.dataset import Studio

    model = load_model(toy_options.model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "sky_share", _open_sky)
        return Studio(toy_options, model, heads.model_head(model, default_model))


@pytest.fixture(scope="session")
def open_head(default_model) -> Head:
    """The bundled head ready for painting, under an open sky: what hides what takes seconds to find out."""
    from facefit.synth import heads

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "sky_share", _open_sky)
        return replace(heads.default_head(default_model), name="facefit")


def _open_sky(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return np.ones(len(verts), np.float32)


@pytest.fixture(scope="session")
def toy_people(toy_options, toy_studio, tmp_path_factory) -> Path:
    """Four pictures of two people of the toy model, as `facefit synth` writes them. Read only."""
    from facefit.synth.dataset import make_dataset

    data = tmp_path_factory.mktemp("people") / "data"
    make_dataset(data, toy_options, load=lambda options: toy_studio)
    return data


@pytest.fixture(scope="session")
def kept_instruments() -> dict:
    """What `loaded_once` has loaded."""
    return {}


@pytest.fixture
def loaded_once(kept_instruments, monkeypatch) -> None:
    """Commands and `fit_photo` in this process find the bundled model, the face networks and the face parser loaded."""
    from facefit.fit import fit
    from facefit.importers import install
    from facefit.job import job
    from facefit.model import model_file
    from facefit.output import read_back

    for module in (job, fit):
        for name in ("load_detector", "load_segmenter"):
            monkeypatch.setattr(module, name, _once(getattr(module, name), name, kept_instruments))
    load_model = _once(model_file.load_model, "load_model", kept_instruments)
    for module in (job, fit, install, read_back, model_file):
        monkeypatch.setattr(module, "load_model", load_model)


def _once(load, name: str, kept: dict):
    @wraps(load)
    def loaded(*what, **more):
        if more or what[:1] not in ((), (None,), ("default",), ("auto",), ("polygons",)):  # a file: it may change
            return load(*what, **more)
        key = (name, *(str(word) for word in what if word not in (None, "default")))
        if key not in kept:
            bundled = key in (("load_model",), ("load_model", "cpu"))
            kept[key] = _bundled_model() if bundled else load(*what)
        return kept[key]

    return loaded


@pytest.fixture
def small_overlays(monkeypatch) -> None:
    """Commands in this process write overlays of 64 pixels a panel: at full size one takes as long as a short fit."""
    from facefit.job import job
    from facefit.output.overlay import overlay_png
    from facefit.person import files

    for module in (job, files):
        monkeypatch.setattr(module, "overlay_png", partial(overlay_png, panel=64))


@pytest.fixture
def plain_textures(monkeypatch) -> None:
    """Textures in this process are grey: to hold the photo against a face takes as long as a short fit."""
    from facefit.output import texture
    from facefit.person import texture_layer

    def unwrap_layers(scene, pixels, size: int) -> texture.Unwrapped:
        grey, unseen = np.full((size, size, 3), 0.5, np.float32), np.zeros((size, size), np.float32)
        return texture.Unwrapped(grey, grey, unseen, *texture.texels(scene.model, size))

    for module in (texture, texture_layer):
        monkeypatch.setattr(module, "unwrap_layers", unwrap_layers)


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """(512, 512, 3) uint8: Eileen Collins (NASA, public domain), the portrait that scikit-image ships. Read only."""
    photo = pytest.importorskip("skimage.data").astronaut()
    photo.setflags(write=False)
    return photo
