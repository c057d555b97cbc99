"""What each head model can represent, how plausible what it makes up is, and what photos get out of it.

    python -m benchmarks.capacity DATA_DIR --model default --model ict --photos ict=out/summary.json
    python -m benchmarks.capacity DATA_DIR --model default --model ict --write docs/models.md --pictures docs/images

Per model, in mm, median over the scans' face ovals after similarity alignment:

* mean face: the model's mean, not fitted;
* direct fit: components fitted to the scan's surface itself: what no photo fit can beat;
* from photos: the median over the renders of the scans, from the summary of benchmarks.evaluate;
* specificity: distance of random people of the model to the nearest scan: small when it makes up real faces only.

--write replaces what stands between the two marks `<!-- capacity -->` of a page.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks.dataset import Scan, read_scan
from facefit.anatomy.landmarks import LANDMARKS7
from facefit.convert.surface_fit import Samples, SurfaceFit, fit_surface, near_face
from facefit.geometry.triangles import sample_surface
from facefit.metrics.scan_distance import MarkedMesh, scan_distances, scan_error
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model

SCANS = ("lps", "james")
POINTS = 4000  # of a scan's face that are fitted
PEOPLE = 20  # random people for the specificity
SHOWN = 3.0  # mm that the pictures' colours reach
MARK = "<!-- capacity -->"


def measure(model: FaceModel, scans: dict[str, Scan], people: int = PEOPLE) -> tuple[dict, dict[str, SurfaceFit]]:
    """Figures of one model (scan -> mm under `mean_face` and `direct`, and `specificity`), and the direct fits."""
    with torch.no_grad():
        mean7 = model.landmarks(model.verts[None])[0, list(LANDMARKS7)].double().numpy()
    figures: dict = {"mean_face": {}, "direct": {}}
    fits = {}
    for name, scan in scans.items():
        figures["mean_face"][name] = _error(model.verts.double().numpy(), mean7, model, scan)
        inside = scan.faces[scan.region[scan.faces].all(1)]
        points = sample_surface(scan.verts, inside, POINTS, seed=1)
        fits[name] = fit_surface(model, Samples(points), scan.landmarks7)
        figures["direct"][name] = _error(fits[name].verts, fits[name].landmarks7, model, scan)
    figures["specificity"] = specificity(model, scans, people)
    return figures, fits


@torch.no_grad()
def specificity(model: FaceModel, scans: dict[str, Scan], people: int = PEOPLE, seed: int = 0) -> float:
    """Mean over random people (identity of unit variance, no expression) of the distance to the nearest scan, mm."""
    generator = torch.Generator().manual_seed(seed)
    nearest = []
    for _ in range(people):
        identity = torch.randn(1, model.sizes["identity"], generator=generator)
        verts = model.shape(identity, torch.zeros(1, model.sizes["expression"]))
        seven = model.landmarks(verts)[0, list(LANDMARKS7)].double().numpy()
        nearest.append(min(_error(verts[0].double().numpy(), seven, model, scan, 4000) for scan in scans.values()))
    return float(np.mean(nearest))


def from_photos(summary: Path) -> dict[str, float]:
    """Scan -> mean over its renders of the median error, as benchmarks.evaluate has written it."""
    photos = json.loads(summary.read_text())["photos"]
    rows: dict[str, list[float]] = {}
    for row in photos.values():
        if row["set"] == "synthetic" and "scan_similarity" in row:
            rows.setdefault(row["group"], []).append(row["scan_similarity"])
    return {name: float(np.mean(values)) for name, values in rows.items()}


def table(rows: dict[str, dict], scans: tuple[str, ...]) -> str:
    """Markdown."""
    head = ["model", "vertices", "identity + expression"]
    head += [f"{what}, {name}" for what in ("mean face", "direct fit", "from photos") for name in scans]
    lines = [f"| {' | '.join(head)} | specificity |", "|---" * (len(head) + 1) + "|"]
    for name, row in rows.items():
        cells = [name, f"{row['vertices']:,}", f"{row['identity']} + {row['expression']}"]
        for what in ("mean_face", "direct", "photos"):
            cells += [f"{row[what][scan]:.2f}" if scan in row.get(what, {}) else "" for scan in scans]
        lines.append(f"| {' | '.join(cells)} | {row['specificity']:.2f} |")
    return "\n".join(lines)


def picture(model: FaceModel, fits: dict[str, SurfaceFit], scans: dict[str, Scan], side: int = 300) -> np.ndarray:
    """Each scan's face coloured by its distance to the directly fitted model, blue 0 to red SHOWN mm, and that fit.
    (side, 2 n side, 3) uint8."""
    from facefit.importers.photograph import Subject, photograph

    tiles = []
    for name, scan in scans.items():
        fit = fits[name]
        mesh = MarkedMesh(fit.verts, near_face(model), fit.landmarks7)
        truth = MarkedMesh(scan.verts, scan.faces, scan.landmarks7)
        distance, points, motion = scan_distances(mesh, truth, scan.region)
        from scipy.spatial import cKDTree

        share = np.clip(distance / SHOWN, 0, 1)[cKDTree(points).query(scan.verts)[1]][:, None]
        colours = np.array([0.2, 0.4, 0.9]) * (1 - share) + np.array([0.9, 0.15, 0.1]) * share
        colours[~scan.region] = 0.7
        upright = motion.inverse(scan.verts)  # in the model's frame, so that it looks at us
        shown = photograph(Subject(upright, colours), scan.faces, size=2 * side, focal=2.1)
        fitted = photograph(Subject(fit.verts, np.full((len(fit.verts), 3), 0.75)), model.faces.numpy(), size=2 * side,
                            focal=2.1)  # fmt: skip
        tiles += [image.reshape(side, 2, side, 2, 3).mean((1, 3)) for image in (shown.image, fitted.image)]
    return np.concatenate(tiles, 1).astype(np.uint8)


def _error(verts: np.ndarray, landmarks7: np.ndarray, model: FaceModel, scan: Scan, samples: int = 20_000) -> float:
    mesh = (verts, near_face(model), landmarks7)
    return scan_error(*mesh, scan.verts, scan.faces, scan.landmarks7, scan.region, samples=samples)["median"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--model", action="append", metavar="NAME|FILE", help="may be repeated; default: default")
    parser.add_argument("--photos", action="append", default=[], metavar="MODEL=SUMMARY.json")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--write", type=Path, metavar="PAGE.md")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    scans = {name: read_scan(options.data / "scans" / f"{name}.npz") for name in SCANS}
    photos = dict(pair.split("=", 1) for pair in options.photos)
    rows = {}
    for name in options.model or ["default"]:
        model, label = load_model(name), Path(name).stem
        figures, fits = measure(model, scans, options.people)
        figures |= {"vertices": len(model.verts), **{k: model.sizes[k] for k in ("identity", "expression")}}
        if label in photos:
            figures["photos"] = from_photos(Path(photos[label]))
        rows[label] = figures
        print(f"{label}: {json.dumps(figures)}", file=sys.stderr, flush=True)
        if options.pictures is not None:
            from PIL import Image

            Image.fromarray(picture(model, fits, scans)).save(options.pictures / f"capacity_{label}.jpg", quality=85)
    text = table(rows, SCANS)
    print(text)
    if options.write is not None:
        parts = options.write.read_text(encoding="utf-8").split(MARK)
        if len(parts) != 3:
            parser.error(f"{options.write}: expected the mark {MARK} twice")
        options.write.write_text(f"{parts[0]}{MARK}\n{text}\n{MARK}{parts[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
