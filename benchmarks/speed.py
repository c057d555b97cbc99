"""Seconds, milliseconds and megabytes of one fit on this machine's CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.bars import Bar
from facefit.anatomy.landmarks import LANDMARKS
from facefit.fit.config import FitConfig
from facefit.fit.first_guess import first_guess, first_light
from facefit.fit.fit import fit_batch
from facefit.fit.landmark_stage import solve_landmarks
from facefit.fit.objective import Objective
from facefit.fit.optimize import minimize
from facefit.geometry.camera import window_camera
from facefit.model.model_file import load_model
from facefit.observe.dense import load_dense
from facefit.observe.detector import load_detector
from facefit.observe.observe import observe
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import Photo
from facefit.render import load_renderer

ROOT = Path(__file__).resolve().parent.parent


def portrait() -> np.ndarray:
    """(512, 512, 3) uint8: NASA's portrait of Eileen Collins, public domain, shipped with scikit-image."""
    from skimage import data

    return data.astronaut()


def fit_times(iterations: int = 40) -> list[Bar]:
    """Milliseconds of an iteration with all energies, of the landmark stage, and seconds of the two stages together."""
    pixels, config, model, renderer = portrait(), FitConfig(), load_model(), load_renderer("cpu")
    photo = Photo(pixels, Path("portrait.png"), None)
    face = load_detector().detect(pixels)[0]
    observation = observe(photo, face, load_segmenter("auto"), config.window, dense=load_dense())
    start = first_guess(observation, model, config)

    objective = Objective(observation, model, renderer, config)
    start = replace(start, sh=first_light(objective.scene(start), observation))
    stage = replace(config.stage, iterations=iterations, patience=iterations + 1)
    times = []
    for _ in range(2):  # the first run compiles
        times.clear()
        minimize(objective, start, stage, config.steps, activation=model.activation,
                 report=lambda iteration, terms: times.append(time.perf_counter()))  # fmt: skip
    steps = np.diff(times) * 1e3

    began = time.perf_counter()
    result = fit_batch(observation, model, config, renderer, photo=photo)[0]
    whole = time.perf_counter() - began

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        camera = window_camera(observation.camera, observation.window)
        single = []
        for _ in range(20):
            began = time.perf_counter()
            solve_landmarks(model, observation.landmarks, observation.landmark_confidence, camera, config)
            single.append((time.perf_counter() - began) * 1e3)
    finally:
        torch.set_num_threads(threads)
    unknowns = model.sizes["identity"] + model.sizes["expression"]
    size = f"{len(model.verts)} vertices, {config.window} px"
    return [
        Bar("one iteration, all energies, mean", float(steps.mean()), 40, unit="ms", digits=1,
            note=f"{size}, median {np.median(steps):.1f} ms"),
        Bar("fit only", whole, 5, unit="s", digits=2, note=f"{len(result.trace) - 1} iterations, {result.status}"),
        Bar("landmark stage, one thread", float(np.median(single)), 10, unit="ms", digits=1,
            note=f"{LANDMARKS} points, {unknowns} coefficients and pose; best {min(single):.1f} ms"),
    ]  # fmt: skip


def process_times() -> list[Bar]:
    """Seconds and peak memory of `facefit portrait.png -o mesh.obj`: the first time after an installation, when nothing
    is compiled yet, and the time after that."""
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "portrait.png"
        Image.fromarray(portrait()).save(photo)
        caches = {name: str(Path(folder) / name) for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")}
        environment = {**os.environ, **caches}
        command = [sys.executable, str(ROOT / "cli.py"), "fit", str(photo), "-o", str(Path(folder) / "mesh.obj"), "-q"]
        runs = [_timed(command, environment) for _ in range(2)]
    if not all(code == 0 for code, _, _ in runs):
        return [Bar("whole process", None, 10, unit="s", note=f"facefit ended with exit code {runs[0][0]}")]
    (_, cold, cold_memory), (_, warm, memory) = runs
    return [
        Bar("whole process, warm", warm, 10, unit="s", digits=1, note="detection to written OBJ and texture"),
        Bar("whole process, first run", cold, 25, unit="s", digits=1, note="compiles the kernels"),
        Bar("peak memory", max(memory, cold_memory) / 1e3, 1.5, unit="GB", digits=2),
    ]


def _timed(command: list[str], environment: dict[str, str]) -> tuple[int, float, float]:
    """Exit code, seconds and peak MB of a process of its own."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return process.returncode, time.perf_counter() - began, usage.ru_maxrss / scale


def prdl_times(repeats: int = 20) -> list[Bar]:
    """PRDL against torch.cdist over the full grid of anchors, forward and backward, in this process."""
    from benchmarks import bench_prdl as bench

    masks, pixels, selection = bench.scene()
    targets = bench.prdl_targets(masks)

    def call(function):
        return lambda: bench.descend(function, pixels, selection, targets, bench.STATISTICS)

    fast, slow = call(bench.prdl_energy), call(bench.by_matrix_product)
    gradient = fast()[1]
    seconds, baseline = bench.best_time(fast, repeats), bench.best_time(slow, 2)
    memory, heavy = max(bench.peak_memory(fast), 1.0), bench.peak_memory(slow)
    direction = bench.cosine(gradient, call(bench.prdl_energy_naive)()[1])
    return [
        Bar("PRDL against torch.cdist: times faster", baseline / seconds, 50, True, digits=0,
            note=f"{seconds * 1e3:.1f} ms against {baseline * 1e3:.0f} ms, 224 x 224 anchors, forward and backward"),
        Bar("PRDL against torch.cdist: times less memory", heavy / memory, 20, True, digits=0,
            note=f"{memory:.0f} MB against {heavy:.0f} MB"),
        Bar("PRDL: cosine with the exact gradient", direction, 0.99, True, digits=4),
    ]  # fmt: skip
