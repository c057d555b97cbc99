"""The figures that need a GPU, in one command and under ten minutes: `make bench-gpu`.

    python benchmarks/bench_gpu.py [--folder 1000] [--batch 128] [--only single,batch,folder,prdl,render]
    python benchmarks/bench_gpu.py --device cpu --small        the same paths on a CPU, to see that they run

* one photo and a batch at 224 px: the whole fit of warm observations, all energies, PRDL over the full 224 x 224 grid;
* a folder from JPEG to OBJ with detection and texture, and how busy the device was while batches ran;
* PRDL in Triton against torch.cdist over all anchors and points, forward and backward;
* nvdiffrast against the CPU renderer on random heads: pictures, and gradients of the vertices and the colours.

Times are the best of several, the device waited for; memory is the allocator's peak over what was there before.
"""

from __future__ import annotations

import argparse
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor

from benchmarks.bars import HEAD, LEFT, Bar, markdown
from benchmarks.bench_prdl import by_matrix_product, cosine, scene
from benchmarks.machine import attempt
from benchmarks.photo_folder import FACEFIT, environment, fill
from benchmarks.summary import text_table
from facefit.anatomy.parts import PARTS
from facefit.energies.prdl.contract import PrdlSelection
from facefit.energies.prdl.load import fused
from facefit.energies.prdl.prdl import prdl_energy, prdl_energy_naive
from facefit.energies.prdl.rows import group_rows
from facefit.energies.prdl.targets import prdl_targets
from facefit.fit.config import FitConfig
from facefit.fit.fit import fit_batch
from facefit.geometry.camera import Camera, to_camera_space, to_clip_space
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.dense import load_dense
from facefit.observe.detector import load_detector
from facefit.observe.observation import Observation
from facefit.observe.observe import observe
from facefit.observe.segment.load import load_segmenter
from facefit.photo.photo import read_photo
from facefit.render import load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.scene.parameters import Parameters

KINDS = ("single", "batch", "folder", "prdl", "render")
DISTINCT = 16  # observed faces; a batch repeats them, which makes nothing easier: faces do not know each other


def observations(count: int, config: FitConfig) -> Observation:
    """`count` faces of variants of a portrait, on the CPU."""
    detector, segmenter = load_detector(), load_segmenter("auto")
    with tempfile.TemporaryDirectory() as place:
        photos = [read_photo(path) for path in sorted(fill(Path(place), min(count, DISTINCT)).iterdir())]
    dense = load_dense()
    faces = [
        observe(photo, detector.detect(photo.pixels)[0], segmenter, config.window, dense=dense) for photo in photos
    ]
    return Observation.cat([faces[number % len(faces)] for number in range(count)])


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def best_seconds(call: Callable, device: str, repeats: int) -> float:
    """Least seconds of some calls after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        wait(device)
        began = time.perf_counter()
        call()
        wait(device)
        times.append(time.perf_counter() - began)
    return min(times[1:])


def peak(call: Callable, device: str) -> float:
    """MB that a call allocates on the device at its peak; NaN on a CPU."""
    if not device.startswith("cuda"):
        return float("nan")
    wait(device)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    wait(device)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def fits(device: str, batch: int, repeats: int, iterations: int | None) -> list[Bar]:
    """Seconds of one photo's fit, photos per second of a batch's."""
    config = FitConfig()
    if iterations is not None:
        config = replace(config, stage=replace(config.stage, iterations=iterations))
    model, renderer = load_model(device=device), load_renderer("auto", device)
    faces = observations(batch, config).to(device)
    counts = []

    def fit(which: Observation) -> None:
        counts[:] = [len(result.trace) - 1 for result in fit_batch(which, model, config, renderer)]

    alone = faces[[0]]
    seconds = best_seconds(lambda: fit(alone), device, repeats)
    mean = sum(counts) / len(counts)
    note = f"{renderer.name}, {mean:.0f} iterations, PRDL {'in Triton' if fused(model.device) else 'in torch or numba'}"
    bars = [Bar("one photo at 224 px, the fit", seconds, 0.5, unit="s", note=note)]
    if batch > 1:
        seconds = best_seconds(lambda: fit(faces), device, max(1, repeats // 2))
        mean = sum(counts) / len(counts)
        bars.append(Bar(f"{batch} photos together, the fit", batch / seconds, 150, True, "photos/s", 1,
                        f"{seconds:.2f} s, {mean:.0f} iterations a face"))  # fmt: skip
        if device.startswith("cuda"):
            bars.append(Bar(f"the same, memory of {batch}", peak(lambda: fit(faces), device), unit="MB", digits=0))
    return bars


def folder(count: int, options: list[str]) -> list[Bar]:
    """Photos per second of `facefit batch`, start to end, and how busy the device was."""
    with tempfile.TemporaryDirectory() as place:
        photos = fill(Path(place, "in"), count)
        command = [*FACEFIT, "batch", str(photos), "-o", str(Path(place, "out")), "-v", *options]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-300:]}")
    times = re.findall(r"\]: done|: done, ", done.stderr)
    busy = re.search(r"devices were busy (\d+) %", done.stderr)
    return [
        Bar(f"a folder of {count}, JPEG to OBJ", count / seconds, 25, True, "photos/s", 2,
            f"{seconds:.0f} s with the start, {len(times)} done"),
        Bar("the device busy while batches ran", int(busy[1]) if busy else None, 60, True, "%", 0,
            "" if busy else "no device worker"),
    ]  # fmt: skip


def prdl(device: str, batch: int, repeats: int) -> list[Bar]:
    """PRDL of `batch` faces with 4,040 points each on the full grid."""
    masks, pixels, one = scene()
    number = pixels.shape[1]
    shift = torch.linspace(-2, 2, batch)[:, None, None]
    leaf = (pixels + shift).to(device).requires_grad_(True)
    targets = prdl_targets(masks.expand(batch, -1, -1, -1).contiguous().to(device))
    lengths = one.offset.diff().repeat(batch)
    every = PrdlSelection(
        torch.arange(batch).repeat_interleave(number).to(device), one.vertex.repeat(batch).to(device),
        torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
    )  # fmt: skip
    chosen = every
    if fused(leaf.device):
        part = torch.repeat_interleave(torch.arange(len(PARTS)), one.offset.diff()).to(device)
        chosen = group_rows(torch.ones(batch, number, dtype=torch.bool, device=device), part, leaf.detach(), 1.0)

    def gradient(function: Callable, selection) -> Tensor:
        leaf.grad = None
        function(leaf, selection, targets).sum().backward()
        return leaf.grad.clone()

    fast, slow = (lambda: gradient(prdl_energy, chosen)), (lambda: gradient(by_matrix_product, every))
    times = best_seconds(fast, device, repeats), best_seconds(slow, device, max(1, repeats // 5))
    sizes = peak(fast, device), peak(slow, device)
    kind = "Triton" if chosen is not every else "numba" if device == "cpu" else "torch"
    what = f"PRDL of {batch}, 224 x 224 anchors, {kind} over torch.cdist"
    milliseconds = f"{1e3 * times[0]:.2f} ms, {1e3 * times[1]:.1f} ms"
    less = None if math.isnan(sizes[0]) else sizes[1] / max(sizes[0], 1.0)
    megabytes = "of a device only" if less is None else f"{sizes[0]:.1f} MB, {sizes[1]:.0f} MB"
    return [
        Bar(f"{what}: speed", times[1] / times[0], 20, True, "x", 1, milliseconds),
        Bar(f"{what}: memory", less, 20, True, "x", 1, megabytes),
        Bar(f"{what}: cosine of the gradients", cosine(fast(), gradient(prdl_energy_naive, every)), 0.9999, True,
            digits=6),
    ]  # fmt: skip


def heads(model: FaceModel, count: int) -> tuple[Tensor, Tensor]:
    """(N, V, 3) random heads in camera space, and (N, V, 3) their colours, on the CPU."""
    dice = torch.Generator().manual_seed(0)
    zero = Parameters.zeros(model.sizes, count)
    identity = torch.randn(zero.identity.shape, generator=dice)
    expression = 0.3 * torch.rand(zero.expression.shape, generator=dice)
    verts = model.shape(identity, expression, zero.gaze)
    turn = (torch.rand(count, 3, generator=dice) - 0.5) * torch.tensor([0.6, 1.4, 0.5])
    points = to_camera_space(verts, turn, torch.tensor([0.0, 25.0, -1000.0]).expand(count, 3))
    sh = zero.sh + 0.15 * torch.randn(zero.sh.shape, generator=dice)
    albedo = model.albedo(0.5 * torch.randn(zero.albedo.shape, generator=dice))
    return points, shade(albedo, vertex_normals(points, model.faces), sh)


def render(device: str, count: int, size: int = 224) -> list[Bar]:
    """The backend of the device against the CPU's: one smooth energy of the picture, and its gradients."""
    model = load_model()
    points, colours = heads(model, count)
    camera = Camera(torch.full((count, 2), 1015.0 * size / 224), torch.full((count, 2), size / 2))
    clip = to_clip_space(points, camera, size)
    at = torch.arange(size) / size
    weight = (torch.sin(5 * at)[:, None] + torch.cos(4 * at)[None])[None, ..., None]

    def picture(renderer, where: str) -> tuple[Tensor, Tensor, Tensor]:
        pos, values = (value.detach().to(where).requires_grad_(True) for value in (clip, colours))
        faces = model.faces.to(where)
        rast = renderer.rasterize(pos, faces, size)
        image = renderer.antialias(renderer.interpolate(values, rast, faces), rast, pos, faces)
        (image * weight.to(where) + image**2).sum().backward()
        return image.detach().cpu(), pos.grad.cpu(), values.grad.cpu()

    mine = load_renderer("nvdiffrast" if device.startswith("cuda") else "cpu", device)
    got, expected = picture(mine, device), picture(load_renderer("cpu"), "cpu")
    what = f"{mine.name} against the CPU renderer, {count} heads"
    return [
        Bar(f"{what}: mean difference of the pictures", (got[0] - expected[0]).abs().mean().item(), 1e-3, digits=6),
        Bar(f"{what}: cosine of the vertices' gradients", cosine(got[1], expected[1]), 0.999, True, digits=5),
        Bar(f"{what}: cosine of the colours' gradients", cosine(got[2], expected[2]), 0.999, True, digits=5),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--folder", type=int, default=1000, help="photos of the folder")
    parser.add_argument("--only", default=",".join(KINDS), help="comma list of " + ", ".join(KINDS))
    parser.add_argument("--small", action="store_true", help="tiny sizes: only whether it runs")
    given = parser.parse_args(arguments)
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        print("bench_gpu: no CUDA device here; --device cpu --small shows that the paths run", file=sys.stderr)
        return 1
    device, small = given.device, given.small
    wanted = given.only.split(",")
    repeats, iterations = (1, 2) if small else (5, None)
    batch = 2 if small else given.batch
    options = ["--iterations", "2", "--texture-size", "64"] if small else []
    if device == "cpu":
        options += ["--device", "cpu", "--batch-size", "2"]
    began = time.perf_counter()
    bars: list[Bar] = []
    if "single" in wanted or "batch" in wanted:
        bars += attempt("fits", lambda: fits(device, batch if "batch" in wanted else 1, repeats, iterations))
    if "prdl" in wanted:
        bars += attempt("PRDL", lambda: prdl(device, 2 if small else 16, repeats))
    if "render" in wanted:
        bars += attempt("renderers", lambda: render(device, 2 if small else 20, 96 if small else 224))
    if "folder" in wanted:
        bars += attempt("folder", lambda: folder(4 if small else given.folder, options))
    if device == "cpu":  # the bars are a GPU's
        bars = [replace(bar, bar=None) for bar in bars]
    name = torch.cuda.get_device_name() if device.startswith("cuda") else "CPU"
    print(f"{name}, torch {torch.__version__}, {time.perf_counter() - began:.0f} s\n")
    print("\n".join(text_table(HEAD, [bar.cells() for bar in bars], LEFT)))
    print("\n" + markdown(bars))
    return 0


if __name__ == "__main__":
    sys.exit(main())
