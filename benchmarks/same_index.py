"""Vertex by vertex: fits of rendered people with the very model they were rendered from.

    python -m benchmarks.same_index DATA_DIR --model ict [--limit N]

DATA_DIR/ict_synthetic holds NAME.npz with the true vertices (V, 3), in the order of the model's. Errors are distances
of vertices of the same number over the face's oval, in mm: in camera space with the true focal length (what is off in
depth counts in full), after a rigid and after a similarity alignment of those vertices.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.dataset import Case, cases, spread
from facefit.geometry.similarity import fit_similarity


@dataclass(frozen=True)
class Errors:
    """Medians over the oval's vertices, mm; `mean_face`: of the model's mean, similarity."""

    camera: float
    rigid: float
    similarity: float
    mean_face: float


def same_index_errors(
    verts: np.ndarray, truth: np.ndarray, mean: np.ndarray, rotation: np.ndarray, translation: np.ndarray,
    region: np.ndarray,
) -> Errors:  # fmt: skip
    """Args:
    verts: (V, 3) mm fitted, camera space (y up, looking along -z); truth, mean: (V, 3) mm in spaces of their own.
    rotation, translation: truth -> OpenCV camera. region: (V,) bool.
    """
    there = (truth @ rotation.T + translation) * [1, -1, -1]

    def aligned(points: np.ndarray, scale: bool) -> float:
        motion = fit_similarity(points[region], there[region], scale=scale)
        return float(np.median(np.linalg.norm(motion(points[region]) - there[region], axis=1)))

    camera = float(np.median(np.linalg.norm(verts[region] - there[region], axis=1)))
    return Errors(camera, aligned(verts, False), aligned(verts, True), aligned(mean, True))


def measure(case: Case, model, tools: dict) -> Errors:
    """Fit one photo, knowing its focal length, and compare."""
    from facefit.fit.fit import fit_photo
    from facefit.photo.photo import read_photo

    result = fit_photo(read_photo(case.photo), model=model, focal=case.focal, **tools)[0]
    about = json.loads(case.photo.with_suffix(".json").read_text())
    with np.load(case.scan, allow_pickle=False) as file:
        truth, region = file["verts"].astype(np.float64), file["region_oval"].astype(bool)
    mean = model.verts.double().numpy()
    if truth.shape != mean.shape:
        raise ValueError(f"{case.scan}: {len(truth)} vertices; {model.name} has {len(mean)}")
    pose = np.array(about["R"]), np.array(about["t"])
    return same_index_errors(result.verts_in("camera"), truth, mean, *pose, region)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.same_index",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--model", required=True, metavar="NAME|FILE")
    parser.add_argument("--limit", type=int, metavar="N")
    options = parser.parse_args(arguments)
    from facefit.model.model_file import load_model
    from facefit.observe.detector import load_detector
    from facefit.observe.segment.load import load_segmenter
    from facefit.render import load_renderer

    model = load_model(options.model)
    tools = {"detector": load_detector(), "segmenter": load_segmenter("auto"), "renderer": load_renderer("cpu")}
    rows = []
    for case in spread(cases(options.data, "ict_synthetic"), options.limit):
        rows.append(asdict(measure(case, model, tools)))
        print(case.name, {name: round(value, 2) for name, value in rows[-1].items()}, file=sys.stderr, flush=True)
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name}: median {np.median(values):.2f} mm, mean {np.mean(values):.2f} mm over {len(rows)} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())
