"""What PRDL's own choices are worth: the grid, the skin, where the anchors lie, and a silhouette loss behind it.

    python -m benchmarks.ablation.variants DATA_DIR --out DIR

After `python -m benchmarks.ablation` with the same --out, whose faces and settings are used; one line per variant, face
and start in DIR/variants.jsonl, on the tuning split (--split results for the other). Resumable.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.ablation.faces import SPLITS, Face, load_face, shrink, split, together
from benchmarks.ablation.fitting import PART_WEIGHTS, Bench, Settings, descend, judge
from benchmarks.ablation.lines import append_lines, batches, best_settings, mean, read_lines
from benchmarks.ablation.point_losses import UNIT
from benchmarks.ablation.scene import Scene
from benchmarks.ablation.starts import STARTS, start_parameters
from benchmarks.dataset import DATA_VARIABLE
from facefit.anatomy.parts import PARTS
from facefit.observe.observation import Observation
from facefit.scene.parameters import Parameters


class GridPrdl:
    """PRDL from its definition on a coarse grid of anchors.

    Args:
        side: anchors along each side of the window.
        near: pixels of a window of UNIT within which anchors count most: each counts exp(-least distance to the mask /
            near); None: all count alike.
        huber: pixels of a window of UNIT beyond which a difference of distances counts linearly, 2 huber |d| - huber^2;
            inf squares all of them, as the paper does.
    """

    triangles = False

    def __init__(self, side: int, near: float | None = None, huber: float = math.inf) -> None:
        self.side, self.near, self.huber = side, near, huber

    def targets(self, observation: Observation) -> list[tuple[Tensor, Tensor] | None]:
        """Per face and part: (A, 3) least, greatest and mean distance in pixels, and (A,) weights of sum 1."""
        found = []
        anchors = self._anchors(observation.size)
        for mask in observation.part_masks[:, : len(PARTS)].flatten(0, 1):
            row, column = (mask > 0.5).nonzero().unbind(1)
            if len(row) == 0:
                found.append(None)
                continue
            told = self._describe(anchors, torch.stack([column, row], 1).float() + 0.5)
            weight = torch.ones(len(anchors))
            if self.near is not None:
                weight = (-told[:, 0] * (UNIT / observation.size) / self.near).exp()
            found.append((told, weight / weight.sum()))
        return found

    def __call__(self, scene: Scene, targets: list[tuple[Tensor, Tensor] | None], scale: float = 1.0) -> Tensor:
        """(B, 8) pixels^2 of a window of UNIT."""
        anchors = self._anchors(scene.size)
        points = scene.selection.points(scene.pixels)
        bounds = scene.selection.offset.tolist()
        energies = []
        for target, start, stop in zip(targets, bounds[:-1], bounds[1:], strict=True):
            if target is None or stop == start:
                energies.append(points.new_zeros(()))
                continue
            off = (self._describe(anchors, points[start:stop]) - target[0]).abs() * (UNIT / scene.size)
            inner = off.clamp_max(self.huber)
            energies.append(((2 * off - inner) * inner).sum(1) @ target[1])
        return torch.stack(energies).reshape(len(scene.pixels), len(PARTS))

    def _anchors(self, size: int) -> Tensor:
        line = (torch.arange(self.side) + 0.5) * (size / self.side)
        row, column = torch.meshgrid(line, line, indexing="ij")
        return torch.stack([column, row], -1).reshape(-1, 2)

    @staticmethod
    def _describe(anchors: Tensor, points: Tensor) -> Tensor:
        distance = torch.cdist(anchors, points, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.stack([distance.amin(1), distance.amax(1), distance.mean(1)], 1)


Descent = Callable[[Bench, dict[str, Settings], Observation, Parameters], Parameters]


def _plain(bench: Bench, settings: dict[str, Settings], seen: Observation, first: Parameters) -> Parameters:
    return descend(bench, "prdl", settings["prdl"], seen, first)


def _with(loss=None, part_weights: tuple[float, ...] = PART_WEIGHTS, weight: float = 1.0) -> Descent:
    def run(bench: Bench, settings: dict[str, Settings], seen: Observation, first: Parameters) -> Parameters:
        chosen = replace(settings["prdl"], weight=settings["prdl"].weight * weight)
        return descend(bench, "prdl", chosen, seen, first, loss=loss, part_weights=part_weights)

    return run


def _in_turn(*methods: str) -> Descent:
    """The budget shared out among several methods, one after the other; the later ones with smaller steps."""

    def run(bench: Bench, settings: dict[str, Settings], seen: Observation, first: Parameters) -> Parameters:
        each = replace(bench, iterations=bench.iterations // len(methods))
        for number, method in enumerate(methods):
            chosen = settings[method]
            first = descend(each, method, replace(chosen, step=chosen.step / 4**number), seen, first)
        return first

    return run


def _windowed(window: int) -> Descent:
    def run(bench: Bench, settings: dict[str, Settings], seen: Observation, first: Parameters) -> Parameters:
        return descend(bench, "prdl", settings["prdl"], shrink(seen, window), first)

    return run


VARIANTS: dict[str, tuple[str, Descent]] = {
    "plain": ("PRDL as tuned, 112 x 112 anchors", _plain),
    "grid32": ("32 x 32 anchors", _with(GridPrdl(32))),
    "grid16": ("16 x 16 anchors", _with(GridPrdl(16))),
    "near16": ("16 x 16 anchors, those near the part count most", _with(GridPrdl(16, near=20.0))),
    "huber16": ("16 x 16 anchors, linear from 1 pixel on, weight x 4", _with(GridPrdl(16, huber=1.0), weight=4.0)),
    "no_skin": ("without the skin", _with(part_weights=(1.0,) * 7 + (0.0,))),
    "full_skin": ("the skin as much as the others (the paper)", _with(part_weights=(1.0,) * 8)),
    "window56": ("window and grid of 56", _windowed(56)),
    "then_antialias": ("PRDL, then the antialiased silhouette", _in_turn("prdl", "antialias")),
    "chamfer_then_antialias": ("Chamfer, then the antialiased silhouette", _in_turn("chamfer", "antialias")),
    "prdl_twice": ("PRDL, then PRDL with smaller steps", _in_turn("prdl", "prdl")),
    "antialias_twice": ("the antialiased silhouette, then with smaller steps", _in_turn("antialias", "antialias")),
}


def fit_variant(name: str, settings: dict[str, Settings], bench: Bench, faces: list[Face], start: str) -> list[dict]:
    """As `fitting.fit_faces`, for a variant."""
    seen = shrink(together([face.observation for face in faces]), bench.window)
    begun = next(known for known in STARTS if known.name == start)
    first = start_parameters(seen, bench.model, begun, [face.key for face in faces], bench.seed)
    last = VARIANTS[name][1](bench, settings, seen, first)
    return [
        {"variant": name, "face": face.key, "start": start, **judge(last[number], face, bench)}
        for number, face in enumerate(faces)
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation.variants", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="LIST")
    parser.add_argument("--split", choices=SPLITS, default="tuning")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    from facefit.model.model_file import load_model
    from facefit.render import load_renderer

    torch.set_num_threads(1)
    bench = Bench(load_model(), load_renderer("cpu"), options.seed, scans=False)
    settings = best_settings(options.out / "tuning.jsonl")
    path = options.out / "variants.jsonl"
    done = {(row["variant"], row["face"], row["start"]) for row in read_lines(path)}
    faces = {case: load_face(case, options.out / "faces") for case in split(options.data)[options.split]}
    for name in options.variants.split(","):
        rows = []
        for start in (STARTS[0].name, STARTS[-1].name):
            for batch in batches(list(faces)):
                left = [faces[case] for case in batch if (name, faces[case].key, start) not in done]
                if left:
                    found = fit_variant(name, settings, bench, left, start)
                    append_lines(path, found)
        rows = [row for row in read_lines(path) if row["variant"] == name]
        by_start = [mean([row["iou"] for row in rows if row["start"] == s.name]) for s in (STARTS[0], STARTS[-1])]
        print(f"{name:24} near {by_start[0]:.3f} far {by_start[1]:.3f}  {VARIANTS[name][0]}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
