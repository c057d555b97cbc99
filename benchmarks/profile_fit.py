"""Where an iteration and a run of facefit go: `python -m benchmarks.profile_fit [PHOTO] [--threads N]`.

Times are CPU time of this process, the best of several calls, which a busy machine disturbs least; wall time beside it
where it differs in kind. Every piece is measured with the parameters of a first guess.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.speed import ROOT, portrait
from facefit.compute.threads import only_kernels
from facefit.energies.landmark import landmark_energy
from facefit.energies.photometric import photometric_energy
from facefit.energies.prdl.prdl import prdl_energy
from facefit.energies.symmetry import albedo_symmetry
from facefit.fit.choices import choose
from facefit.fit.config import FitConfig
from facefit.fit.first_guess import first_guess, first_light
from facefit.fit.objective import Objective
from facefit.fit.optimize import minimize
from facefit.geometry.camera import project, to_clip_space
from facefit.geometry.rotation import rotation_matrix
from facefit.model.model_file import load_model
from facefit.observe.dense import load_dense
from facefit.observe.detector import load_detector
from facefit.observe.observe import observe
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import Photo, read_photo
from facefit.render import load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.scene.landmarks import project_landmarks
from facefit.scene.parameters import Parameters
from facefit.scene.part_points import part_points


def best(call: Callable[[], object], repeats: int = 20) -> float:
    """Milliseconds of CPU time of the fastest call; the first, which may compile, does not count."""
    call()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def both_ways(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[float, float]:
    """Milliseconds of `function` alone, and of it with the gradients of its inputs."""
    leaves = [tensor.detach().requires_grad_(True) for tensor in inputs]

    def descend() -> None:
        out = function(*leaves)
        torch.autograd.grad(out, leaves, torch.ones_like(out), allow_unused=True)

    with torch.no_grad():
        forward = best(lambda: function(*leaves))
    return forward, best(descend)


def pieces(objective: Objective, start: Parameters) -> dict[str, tuple[float, float]]:
    """Name -> milliseconds forward, and forward with backward, of what an iteration is made of."""
    model, renderer, size, config = objective.model, objective.renderer, objective.size, objective.config
    faces, observation = model.faces, objective.observation
    with torch.no_grad():
        objective(start, 0)
        scene, choices = objective.scene(start), objective.choices
        points, clip, rast = scene.surface(), scene.clip(), scene.rast()
        normals, albedo = scene.normals(), model.albedo(start.albedo)
        colours = shade(albedo, normals, start.sh)
        picture = renderer.interpolate(colours, rast, faces)
        landmarks = scene.landmarks(choices.contour)
        pixels = project(scene.part_positions(), objective.camera)
        weight = observation.valid * (rast[..., 3] > 0)

    def pose(verts: Tensor, rotvec: Tensor, translation: Tensor) -> Tensor:
        turned = verts @ rotation_matrix(rotvec).transpose(1, 2) + translation[:, None]
        return to_clip_space(turned, objective.camera, size)

    found = {
        "shape": both_ways(model.shape, start.identity, start.expression, start.gaze),
        "albedo": both_ways(model.albedo, start.albedo),
        "pose and projection": both_ways(pose, model.verts[None], start.rotvec, start.translation),
        "rasterize": both_ways(lambda c: renderer.rasterize(c, faces, size), clip),
        "normals": both_ways(lambda p: vertex_normals(p, faces), points),
        "shade": both_ways(shade, albedo, normals, start.sh),
        "interpolate": both_ways(lambda c, r: renderer.interpolate(c, r, faces), colours, rast),
        "antialias": both_ways(lambda p, c: renderer.antialias(p, rast, c, faces), picture, clip),
        "photometric energy": both_ways(lambda p: photometric_energy(p, observation.image, weight), picture),
        "albedo symmetry": both_ways(lambda a: albedo_symmetry(a, model.symmetry), albedo),
        "landmark positions": both_ways(
            lambda p: project_landmarks(model, p, objective.camera, choices.contour), points
        ),
        "landmark energy": both_ways(
            lambda at: landmark_energy(
                at, observation.landmarks, choices.precision, observation.landmark_confidence, "huber"
            ),
            landmarks,
        ),
        "part positions": both_ways(lambda p: part_points(model).positions(p, model.landmarks(p)), points),
    }
    if objective.targets is not None:
        found["PRDL"] = both_ways(
            lambda p: prdl_energy(p, choices.selection, objective.targets, objective.part_weights, config.statistics),
            pixels,
        )
    with torch.no_grad():
        given = observation, objective.hidden, config, objective.targets is not None
        chosen = best(lambda: choose(scene, *given), 5) / config.stage.refresh
    found["choices, a refresh's share"] = (chosen, chosen)
    return found


def run(photo: Photo) -> None:
    """Print the tables of one photo."""
    config, renderer = FitConfig(), load_renderer("cpu")
    steps: dict[str, float] = {}

    def timed(name: str, call: Callable):
        began = time.perf_counter()
        value = call()
        steps[name] = time.perf_counter() - began
        return value

    model = timed("load the model", load_model)
    detector = timed("load the detector", load_detector)
    face = timed("detect", lambda: detector.detect(photo.pixels))[0]
    observation = timed(
        "segment", lambda: observe(photo, face, load_segmenter("auto"), config.window, dense=load_dense())
    )
    start = timed("landmark stage, first call", lambda: first_guess(observation, model, config))
    objective = timed("targets of the photo", lambda: Objective(observation, model, renderer, config))
    start = replace(start, sh=timed("first light", lambda: first_light(objective.scene(start), observation)))
    minimum = timed(
        "full stage", lambda: minimize(objective, start, config.stage, config.steps, activation=model.activation)
    )
    print(f"\nA run, {len(model.verts)} vertices, {config.window} px: seconds of wall time")
    for name, seconds in steps.items():
        print(f"  {name:28s} {seconds:7.2f}")
    print(f"  ({minimum.iterations} iterations, {', '.join(minimum.status)})")

    with only_kernels():
        found = pieces(objective, start)
        leaves = [value.clone().requires_grad_(True) for value in start.tensors().values()]

        def iterate() -> None:
            terms = objective(Parameters(*leaves), 1)
            torch.autograd.grad(sum(terms.values()).sum(), leaves, allow_unused=True)

        whole = best(iterate)
    print("\nAn iteration: milliseconds of CPU time, forward and with gradients")
    for name, (forward, both) in sorted(found.items(), key=lambda item: -item[1][1]):
        print(f"  {name:28s} {forward:7.2f} {both:7.2f}")
    print(f"  {'all energies in one':28s} {'':7s} {whole:7.2f}")
    print(f"  {'sum of the above':28s} {'':7s} {sum(both for _, both in found.values()):7.2f}")

    stage = replace(config.stage, iterations=40, patience=41)
    began, cpu = time.perf_counter(), time.process_time()
    minimize(objective, start, stage, config.steps, activation=model.activation)
    wall, cpu = (1e3 * (now - then) / 41 for now, then in ((time.perf_counter(), began), (time.process_time(), cpu)))
    print(f"  {'minimize, per iteration':28s} {'':7s} {cpu:7.2f} (wall {wall:.2f})")
    solve = best(lambda: first_guess(observation, model, config))
    print(f"\nLandmark stage: {solve:.2f} ms of CPU time")


def imports() -> None:
    """Print what a process pays before it has done anything: seconds of each import, in a process of its own."""
    print("\nImports, each in a new process: seconds of wall time")
    for name in ("numpy", "torch", "numba", "onnxruntime", "facefit.job.job", "facefit.commands"):
        code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        print(f"  {name:28s} {float(result.stdout or 'nan'):7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, help="default: the portrait that scikit-image ships")
    parser.add_argument("--threads", type=int, help="threads of the kernels; default: as many as torch takes")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    photo = read_photo(options.photo) if options.photo else Photo(portrait(), Path("portrait.png"), None)
    print(f"{torch.get_num_threads()} threads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    run(photo)
    imports()


if __name__ == "__main__":
    main()
