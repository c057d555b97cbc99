"""What `--detail` makes of one photo: normals of the fitted face against those of the scan that the photo shows.

    python -m benchmarks.detail DATA_DIR [--light "lamp, highlights, tone"]

DATA_DIR is as for benchmarks.evaluate; of it the set `synthetic` is read. A pixel of a render shows a point of the
scan, whose normal is known, and of the fitted face. Mean angle between the two over the skin that faces the camera,
after the one rotation that fits best, without and with the relief; the correlation of what the relief turns with what
the mesh lacks, by wavelength; the median distance to the scan of a finer mesh, without and with the written heights.
`--light` puts another light on the renders (benchmarks.person), under the same fit.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from benchmarks.dataset import DATA_VARIABLE, Scan, read_scan
from benchmarks.person import LIGHTS, Render, read_render, relit
from facefit.anatomy.parts import LABEL
from facefit.fit.descent import fit_faces
from facefit.fit.result import FitResult
from facefit.geometry.camera import Camera
from facefit.geometry.triangles import vertex_normals
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.metrics.scan_distance import scan_error
from facefit.output.detail_files import find_detail
from facefit.output.relief import Relief, relief
from facefit.photo.photo import read_photo
from facefit.render.view import View, make_window, view
from facefit.scene.part_picture import mesh_faces
from facefit.scene.scene import landmarks7_of

BANDS = ((1.5, 3.0), (3.0, 6.0), (6.0, 12.0))  # mm
_FACING = 0.25  # cosine to the viewer from which on a pixel counts
_SAMPLES = 5000  # on the scan


@dataclass(frozen=True)
class Pixels:
    """A render beside the fitted face, pixel by pixel.

    Attributes:
        seen: the fitted face. wanted: (S, S, 3) the scan's normals in camera space; plain: the face's without relief.
        counted: (S, S) bool. pixel: mm.
    """

    seen: View
    wanted: np.ndarray
    plain: np.ndarray
    counted: np.ndarray
    pixel: float

    def angle(self, normals: np.ndarray) -> float:
        """Degrees, mean over what counts, after the best rotation."""
        ours, theirs = normals[self.counted], self.wanted[self.counted]
        left, _, right = np.linalg.svd(theirs.T @ ours)
        turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
        return float(np.degrees(np.arccos(np.clip((ours @ turn.T * theirs).sum(1), -1, 1))).mean())

    def correlation(self, normals: np.ndarray, low: float, high: float) -> float:
        """Of what relief turns with what the scan has more, between two wavelengths in mm."""
        inner = ndimage.binary_erosion(self.counted, iterations=3)
        ours, theirs = (
            self._smooth(field, low)[inner] - self._smooth(field, high)[inner]
            for field in (normals - self.plain, self.wanted - self.plain)
        )
        return float((ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum() + 1e-12))

    def _smooth(self, field: np.ndarray, wavelength: float) -> np.ndarray:
        width, weight = wavelength / 2 / self.pixel, self.counted.astype(float)
        share = np.maximum(ndimage.gaussian_filter(weight, width), 1e-3)[..., None]
        return ndimage.gaussian_filter(field * weight[..., None], (width, width, 0)) / share


def pixels_of(result: FitResult, render: Render, scan: Scan) -> Pixels:
    """A fit of a render beside its scan."""
    size, faces, verts = len(result.photo), mesh_faces(result.model), result.verts_in("camera")
    whole = make_window((0.0, 0.0), size, size)
    seen = view(verts, faces, result.camera, whole)
    plain = _unit(seen.interpolate(vertex_normals(verts, faces), faces))
    wanted = render.normals * (1, -1, -1)
    lens, rotation = np.array(render.truth["K"]), np.array(render.truth["R"])
    camera = Camera(torch.tensor([[lens[0, 0], lens[1, 1]]]), torch.tensor([[lens[0, 2], lens[1, 2]]]))
    shown = view((scan.verts @ rotation.T + np.array(render.truth["t"])) * (1, -1, -1), scan.faces, camera, whole)
    region = shown.seen & scan.region[scan.faces[shown.face]].all(-1)
    to_viewer = -_unit(seen.interpolate(verts, faces))
    skin = np.isin(result.scene.parts_in(seen), (LABEL["skin"], LABEL["nose"]))
    counted = seen.seen & region & skin & ((plain * to_viewer).sum(2) > _FACING) & ((plain * wanted).sum(2) > 0.5)
    pixel = float(np.median(-verts[:, 2])) / float(result.camera.focal[0, 0])
    return Pixels(seen, wanted, plain, counted, pixel)


def relief_normals(result: FitResult, seen: View, plain: np.ndarray, found: Relief) -> np.ndarray:
    """(S, S, 3) the normals that a program shades with, camera space."""
    grid, model = found.grid, result.model
    base = _unit(grid.of_vertices(vertex_normals(result.verts, mesh_faces(model))))
    turned = grid.picture(_unit(base - found.slope) - base)
    at = np.einsum("hwk,hwkc->hwc", seen.bary, model.uv.double().numpy()[model.uv_faces.numpy()[seen.face]])
    place = [(1 - at[..., 1]) * found.size - 0.5, at[..., 0] * found.size - 0.5]
    more = np.stack([ndimage.map_coordinates(turned[..., k], place, order=1) for k in range(3)], -1)
    return _unit(plain + more @ result.pose()[0].T)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def distance(result: FitResult, verts: np.ndarray, faces: np.ndarray, scan: Scan) -> float:
    """mm, median from the scan to a mesh after a similarity alignment."""
    marks = landmarks7_of(result.model, result.verts)
    return scan_error(
        verts, faces, marks, scan.verts, scan.faces, scan.landmarks7, scan.region, align="similarity", samples=_SAMPLES
    )["median"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detail", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--scans", default="james,lps", metavar="LIST")
    parser.add_argument("--light", choices=LIGHTS)
    options = parser.parse_args(arguments)
    if options.data is None or not Path(options.data).is_dir():
        parser.error(f"name the folder of the evaluation sets by DATA_DIR or {DATA_VARIABLE}")
    folder, tools = Path(options.data) / "synthetic", load_instruments(JobOptions())
    for name in options.scans.split(","):
        scan, rows = read_scan(Path(options.data) / "scans" / f"{name}.npz"), []
        for path in sorted(folder.glob(f"{name}_??.png")):
            result, render = fit_faces(read_photo(path), tools)[0], read_render(folder, path.stem, scan)
            if options.light is not None:
                result = replace(result, photo=relit([render], options.light)[0])
            beside, found = pixels_of(result, render, scan), relief(result)
            normals = relief_normals(result, beside.seen, beside.plain, found)
            detail = find_detail(result, 1024, levels=1)
            flat = replace(detail, height=np.zeros_like(detail.height))
            faces = detail.model.faces.numpy()
            rows.append(
                [
                    beside.angle(beside.plain), beside.angle(normals),
                    *(beside.correlation(normals, *band) for band in BANDS),
                    *(distance(result, each.raised(result.verts), faces, scan) for each in (flat, detail)),
                ]
            )  # fmt: skip
            print(path.stem, " ".join(f"{value:.3f}" for value in rows[-1]), flush=True)
        mean = np.mean(rows, 0)
        worst = np.max(np.array(rows)[:, 1] - np.array(rows)[:, 0])
        bands = ", ".join(f"{low:g}-{high:g} mm {c:.2f}" for (low, high), c in zip(BANDS, mean[2:5], strict=True))
        print(
            f"{name}: normals {mean[0]:.2f} > {mean[1]:.2f} degrees ({100 * (mean[1] / mean[0] - 1):+.1f} %, worst "
            f"{worst:+.2f}); correlation {bands}; distance {mean[5]:.3f} > {mean[6]:.3f} mm"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
