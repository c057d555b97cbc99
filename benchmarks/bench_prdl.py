"""PRDL on the CPU against its definition (torch.cdist over the full anchor grid): time, memory, direction of gradient.

    python benchmarks/bench_prdl.py [--threads 2] [--repeats 30]

One face, 8 parts with 4,040 points together (3,000 of them skin), 224 x 224 anchors, all three statistics, forward and
backward. Each part is shifted by a few pixels and stretched by a tenth against its target, as in the middle of a fit.
All forms run in this process, one after the other; `times` compares with torch.cdist in its default, faster mode.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facefit.anatomy.parts import PARTS
from facefit.energies.prdl.chunked import PrdlChunked
from facefit.energies.prdl.contract import STATISTICS, PrdlSelection
from facefit.energies.prdl.prdl import prdl_energy, prdl_energy_naive
from facefit.energies.prdl.targets import prdl_targets

SIZE = 224
# Middle x, y and half axes in pixels, and number of vertices.
FACE = {
    "left_eye": (145, 95, 14, 6, 120),
    "right_eye": (79, 95, 14, 6, 120),
    "left_brow": (147, 78, 20, 5, 80),
    "right_brow": (77, 78, 20, 5, 80),
    "upper_lip": (112, 160, 26, 6, 120),
    "lower_lip": (112, 172, 24, 8, 120),
    "nose": (112, 125, 18, 28, 400),
    "skin": (112, 130, 70, 80, 3000),
}


def scene() -> tuple[torch.Tensor, torch.Tensor, PrdlSelection]:
    """Masks (1, 8, S, S), points (1, N, 2) and their selection."""
    centre = torch.arange(SIZE) + 0.5
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    shapes = [FACE[name] for name in PARTS]
    masks = torch.stack([((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1 for a, b, c, d, _ in shapes])
    masks[-1] &= ~masks[:-1].any(0)
    rng = np.random.default_rng(0)
    points, offset = [], [0]
    for a, b, c, d, count in shapes:
        unit = rng.uniform(-1, 1, (3 * count, 2))
        unit = unit[(unit**2).sum(1) < 1][:count]
        points.append(unit * (1.1 * c, d / 1.1) + (a, b) + rng.normal(0, 2, 2))
        offset.append(offset[-1] + len(unit))
    pixels = torch.tensor(np.concatenate(points), dtype=torch.float32)[None]
    index = torch.arange(offset[-1])
    return masks[None].float(), pixels, PrdlSelection(torch.zeros_like(index), index, torch.tensor(offset))


def chunked(pixels, selection, targets, weights=None, statistics=STATISTICS) -> torch.Tensor:
    """What a GPU would run, here on the CPU."""
    flags = tuple(name in statistics for name in STATISTICS)
    return PrdlChunked.apply(selection.points(pixels), selection.offset, targets, flags).sum()[None]


def by_matrix_product(*arguments, **keywords) -> torch.Tensor:
    """The definition with torch.cdist's default mode: quicker, and wrong in the third digit of short distances."""
    exact = torch.cdist
    with mock.patch("torch.cdist", lambda a, b, compute_mode=None: exact(a, b)):
        return prdl_energy_naive(*arguments, **keywords)


def descend(function: Callable, pixels, selection, targets, statistics) -> tuple[float, torch.Tensor]:
    leaf = pixels.clone().requires_grad_(True)
    energy = function(leaf, selection, targets, statistics=statistics)
    energy.sum().backward()
    return energy.item(), leaf.grad[0]


def best_time(call: Callable, repeats: int) -> float:
    """Least seconds of some calls: the others were disturbed by other programs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory(call: Callable) -> float:
    """MB that one call adds to the process at its peak; NaN where the system does not tell (not Linux)."""

    def status(key: str) -> float:
        with open("/proc/self/status") as file:
            return next(float(line.split()[1]) / 1024 for line in file if line.startswith(key))

    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forget the high-water mark
        before = status("VmRSS")
    except OSError:
        return float("nan")
    call()
    return status("VmHWM") - before


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), 0).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    masks, pixels, selection = scene()
    prdl_targets(masks)  # compile
    seconds = best_time(lambda: prdl_targets(masks), 5)
    targets = prdl_targets(masks)
    print(f"targets, once per photo: {1e3 * seconds:.0f} ms ({options.threads} threads)\n")

    rows = {}
    for name, function, repeats in (
        ("prdl_energy", prdl_energy, options.repeats),
        ("chunked torch", chunked, 1),
        ("cdist, default", by_matrix_product, 2),
        ("cdist, exact", prdl_energy_naive, 1),
    ):
        call = lambda f=function: descend(f, pixels, selection, targets, STATISTICS)  # noqa: E731
        energy, gradient = call()
        rows[name] = (best_time(call, repeats), peak_memory(call), energy, gradient)
    reference, baseline = rows["cdist, exact"], rows["cdist, default"]
    print(f"{'all statistics':16}{'ms':>10}{'times':>8}{'MB':>9}{'times':>8}{'energy':>10}{'cosine':>10}")
    for name, (seconds, megabytes, energy, gradient) in rows.items():
        # memory that lies free in the process already does not show: 1 MB is the least that is claimed
        megabytes = max(megabytes, 1.0)
        print(
            f"{name:16}{1e3 * seconds:10.2f}{baseline[0] / seconds:8.1f}{megabytes:9.1f}"
            f"{baseline[1] / megabytes:8.1f}{energy:10.3f}{cosine(gradient, reference[3]):10.5f}"
        )

    print(
        f"\ncosine with the full grid's gradient\n{'part':12}" + "".join(f"{name:>10}" for name in (*STATISTICS, "all"))
    )
    choices = [(name,) for name in STATISTICS] + [STATISTICS]
    fast = [descend(prdl_energy, pixels, selection, targets, choice)[1] for choice in choices]
    slow = [descend(chunked, pixels, selection, targets, choice)[1] for choice in choices[:-1]] + [reference[3]]
    offset = selection.offset.tolist()
    for part, start, stop in zip((*PARTS, "all"), offset[:-1] + [0], offset[1:] + [offset[-1]], strict=True):
        print(
            f"{part:12}"
            + "".join(f"{cosine(a[start:stop], b[start:stop]):10.5f}" for a, b in zip(fast, slow, strict=True))
        )


if __name__ == "__main__":
    main()
