"""Milliseconds of the photometric path on the CPU: a 17k-vertex head in a 224 px window, forward and backward.

python benchmarks/bench_render.py [--size 224] [--repeat 50]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facefit.geometry.camera import Camera, to_clip_space
from facefit.render import lighting, load_renderer


def head(rows: int = 96, columns: int = 180) -> tuple[Tensor, Tensor]:
    """A closed egg with a nose, mm: (V, 3) and (F, 3); 17,280 vertices and 34,200 faces by default."""
    polar = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    radius = 1 + 0.15 * np.exp(-(((polar - 1.7) / 0.15) ** 2) - ((angle - np.pi / 2) / 0.15) ** 2)
    radius = radius + 0.02 * np.sin(9 * polar) * np.sin(7 * angle)
    side = np.sin(polar)
    verts = radius[..., None] * np.stack(
        [80 * side * np.cos(angle), np.broadcast_to(110 * np.cos(polar), radius.shape), 95 * side * np.sin(angle)], -1
    )
    grid = np.arange(rows * columns).reshape(rows, columns)
    a, b = grid[:-1], grid[1:]
    c, d = np.roll(a, -1, 1), np.roll(b, -1, 1)
    faces = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    return torch.tensor(verts.reshape(-1, 3), dtype=torch.float32), torch.tensor(faces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224, help="side of the window in pixels")
    parser.add_argument("--repeat", type=int, default=50)
    options = parser.parse_args()
    size = options.size

    verts, faces = head()
    scale = size / 224
    camera = Camera(torch.full((1, 2), 1015.0 * scale), torch.full((1, 2), 112.0 * scale))
    points = (verts[None] + torch.tensor([0.0, 0.0, -1030.0])).requires_grad_()
    albedo = torch.rand(1, len(verts), 3, requires_grad=True)
    sh = (torch.randn(1, 9, 3) * 0.2).requires_grad_()
    image = torch.rand(1, size, size, 3)
    extra = torch.rand(1, len(verts), 4)

    start = time.perf_counter()
    renderer = load_renderer("cpu")
    steps: dict[str, list[float]] = {}

    def step(name: str, function):
        begin = time.perf_counter()
        result = function()
        steps.setdefault(name, []).append((time.perf_counter() - begin) * 1e3)
        return result

    def iteration() -> float:
        begin = time.perf_counter()
        for leaf in (points, albedo, sh):
            leaf.grad = None
        clip = step("clip space", lambda: to_clip_space(points, camera, size))
        normals = step("normals", lambda: lighting.vertex_normals(points, faces))
        colors = step("shade", lambda: lighting.shade(albedo, normals, sh))
        rast = step("rasterize", lambda: renderer.rasterize(clip, faces, size))
        values = step("interpolate 7", lambda: renderer.interpolate(torch.cat([colors, extra], 2), rast, faces))
        smooth = step("antialias", lambda: renderer.antialias(values, rast, clip, faces))
        energy = step("energy", lambda: ((smooth[..., :3] - image) ** 2).sum(-1).add(1e-6).sqrt().mean())
        step("backward", lambda: energy.backward())
        return (time.perf_counter() - begin) * 1e3

    first = iteration()
    cold = time.perf_counter() - start
    steps.clear()
    total = [iteration() for _ in range(options.repeat)]
    seen = (renderer.rasterize(to_clip_space(points.detach(), camera, size), faces, size)[..., 3] > 0).float().mean()
    print(
        f"{len(verts)} vertices, {len(faces)} faces, {size} px, {seen:.0%} covered, {torch.get_num_threads()} threads"
    )
    print(f"{'step':<16}{'median ms':>10}{'best ms':>10}")
    for name, times in steps.items():
        print(f"{name:<16}{np.median(times):>10.2f}{min(times):>10.2f}")
    print(f"{'whole path':<16}{np.median(total):>10.2f}{min(total):>10.2f}")
    print(f"first iteration {first:.0f} ms; with loading or compiling the kernels {cold:.1f} s")


if __name__ == "__main__":
    main()
