"""What several photos of one person bring: renders of scans, fitted alone, together, and with the surface they share.

    python -m benchmarks.person DATA_DIR [--scans james,lps] [--out FILE.json]

DATA_DIR is as for benchmarks.evaluate; of it the set `synthetic` is read, whose NAME.json tells camera and light of
each render. All numbers are of the neutral head against the scan (where the expression is shared, of the head in it):
median distance after alignment, mm; mean angle of the normals over skin that a photo shows, degrees; correlation (and
R^2) of the displacement with that of the scan by bands of wavelength, after one similarity alignment of the head
without it. In the case "found out" whether the expression is shared is found out, as by `facefit person`.

Renders in another light are made of the same renders: their light is taken off by the scan's normals and another one
put on. Fits are those of the renders as they are; the surface alone is found in the new light. What can go wrong is
there: lamps with a terminator, highlights and a tone curve at once, one room for all photos, light that turns with the
head.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.dataset import DATA_VARIABLE, Scan, read_scan
from facefit.detail.patch import Patch, skin_patch
from facefit.detail.refine import neutral_verts, refine_surface
from facefit.detail.samples import sample_patch
from facefit.fit.result import FitResult
from facefit.geometry.camera import Camera
from facefit.geometry.closest_point import ClosestPoint
from facefit.geometry.triangles import sample_surface, triangle_weights, vertex_normals
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.metrics.scan_distance import align_to_scan, scan_error
from facefit.person.person import PersonFitter
from facefit.person.photos import PersonPhoto
from facefit.person.sharing import Sharing
from facefit.photo.photo import read_photo
from facefit.render.harmonics import sh_basis
from facefit.render.view import make_window, view
from facefit.scene.scene import landmarks7_of

BANDS = ((3.0, 6.0), (6.0, 12.0), (12.0, 24.0))  # mm
SUBSETS = {
    "8": tuple(range(8)), "4a": (0, 3, 6, 7), "4b": (1, 2, 4, 5),
    "2a": (0, 3), "2b": (1, 6), "2c": (2, 5), "2d": (4, 7),
}  # fmt: skip
WAYS = {"static": True, "found out": None}  # of sharing the expression; without a word each photo has its own
CASES = (*SUBSETS, *(f"8 {way}" for way in WAYS))
LIGHTS = ("lamp, highlights, tone", "room 0", "room 3", "room 6", "head 0", "head 3", "head 6")
SAMPLES = 5000  # on the scan
_GAMMA = 2.2  # of the renders


@dataclass(frozen=True)
class Render:
    """A render of a scan: picture in linear light, the scan's normals in the axes of OpenCV, how bright it is lit."""

    linear: np.ndarray
    normals: np.ndarray
    seen: np.ndarray
    shading: np.ndarray
    truth: dict

    @property
    def direction(self) -> np.ndarray:
        """(3,) unit vector to the lamp."""
        found = np.array(self.truth["light"]["direction_camera"])
        return found / np.linalg.norm(found)


def read_render(folder: Path, name: str, scan: Scan) -> Render:
    """A render of the set `synthetic` by its name."""
    truth = json.loads((folder / f"{name}.json").read_text())
    rotation, translation, lens = (np.array(truth[key]) for key in ("R", "t", "K"))
    points = (scan.verts @ rotation.T + translation) * (1, -1, -1)
    camera = Camera(torch.tensor([[lens[0, 0], lens[1, 1]]]), torch.tensor([[lens[0, 2], lens[1, 2]]]))
    size = truth["size"][0]
    shown = view(points, scan.faces, camera, make_window((0.0, 0.0), size, size))
    normals = shown.interpolate(vertex_normals(scan.verts, scan.faces) @ rotation.T, scan.faces).astype(np.float64)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True) + 1e-9
    linear = (read_photo(folder / f"{name}.png").pixels / 255.0) ** _GAMMA
    shading = _lit(normals, np.array(truth["light"]["sh9_rgb"]))
    return Render(linear, normals, shown.seen[..., None], shading, truth)


def _lit(normals: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return np.clip(sh_basis(torch.from_numpy(normals)).numpy() @ coefficients, 0.02, None)


def relit(renders: Sequence[Render], light: str) -> list[np.ndarray]:
    """The renders in another light, (H, W, 3) uint8 each."""
    pictures = []
    for render in renders:
        key, ambient = (np.array(render.truth["light"][name]) for name in ("key_rgb", "ambient_rgb"))
        if light.startswith("lamp"):
            shading = np.clip(render.normals @ render.direction, 0, None)[..., None] * key + ambient
        elif light.startswith("room"):
            shading = _lit(render.normals, np.array(renders[_number(light, renders)].truth["light"]["sh9_rgb"]))
        else:
            first = renders[_number(light, renders)]
            turn = np.array(render.truth["R"]) @ np.array(first.truth["R"]).T
            shading = _lit(render.normals, _lamp(turn @ first.direction, first.truth["light"]))
        picture = np.where(render.seen, render.linear / render.shading * shading, render.linear)
        if light.startswith("lamp"):
            half = render.direction + (0, 0, -1)
            gloss = np.clip(render.normals @ (half / np.linalg.norm(half)), 0, None)[..., None] ** 15
            encoded = np.clip(picture + render.seen * 0.12 * key * gloss, 0, 1) ** (1 / _GAMMA)
            encoded = 0.6 * encoded + 0.4 * (3 * encoded**2 - 2 * encoded**3)
        else:
            encoded = np.clip(picture, 0, 1) ** (1 / _GAMMA)
        pictures.append((encoded * 255 + 0.5).astype(np.uint8))
    return pictures


def _number(light: str, renders: Sequence[Render]) -> int:
    return int(light.split()[1]) % len(renders)


def _lamp(direction: np.ndarray, light: dict) -> np.ndarray:
    """(9, 3) of a clamped cosine from `direction` and ambience (Ramamoorthi and Hanrahan 2001, eq. 8)."""
    basis = sh_basis(torch.from_numpy(direction[None])).numpy()[0]
    cosine = np.pi * np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])
    out = (basis * cosine)[:, None] * np.array(light["key_rgb"])
    out[0] += np.array(light["ambient_rgb"]) / basis[0]
    return out


class Judge:
    """A scan laid on a person's head without displacement.

    Args:
        results: the person's fits; posed: whether the head is measured in the first one's expression.
    """

    def __init__(self, scan: Scan, results: Sequence[FitResult], posed: bool) -> None:
        self.scan, self.model = scan, results[0].model
        self.verts = _posed(results[0]) if posed else neutral_verts(results[0])
        self.patch: Patch = skin_patch(self.model, self.verts)
        self.faces = _near(self.model.faces.numpy(), self.verts, landmarks7_of(self.model, self.verts))
        region = scan.faces[scan.region[scan.faces].all(1)]
        marks = landmarks7_of(self.model, self.verts)
        surface = ClosestPoint(self.verts, self.faces)
        points = sample_surface(scan.verts, region, 1500)
        motion = align_to_scan(surface, marks, points, scan.landmarks7, scale=True)
        placed = motion.inverse(scan.verts)
        self.normals, self.surface, self.placed = (
            vertex_normals(placed, scan.faces),
            ClosestPoint(placed, scan.faces),
            placed,
        )
        self.shown = np.max([sample_patch(result, self.patch).weight for result in results], 0) > 0.05

    def _against(self, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) which vertices of the patch have a counterpart, mm to it along the normal, degrees between normals."""
        points = verts[self.patch.vertices]
        normals = vertex_normals(verts, self.model.faces.numpy())[self.patch.vertices]
        distance, closest, face = self.surface(points)
        corners = self.scan.faces[face]
        weights = triangle_weights(closest, self.placed[corners])
        theirs = (self.normals[corners] * weights[..., None]).sum(1)
        cosine = (theirs * normals).sum(1) / np.maximum(np.linalg.norm(theirs, axis=1), 1e-9)
        valid = (distance < 6) & self.scan.region[corners].all(1) & (cosine > 0.5)
        return valid, ((closest - points) * normals).sum(1), np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    def figures(self, displacement: np.ndarray) -> dict[str, float]:
        """Of the head with (V,) mm along its normals."""
        normals = vertex_normals(self.verts, self.model.faces.numpy())
        moved = self.verts + displacement[:, None] * normals
        out: dict[str, float] = {}
        for name, verts in (("before", self.verts), ("after", moved)):
            if name == "after" or not displacement.any():
                for align in ("similarity", "rigid"):
                    out[align] = scan_error(
                        verts, self.faces, landmarks7_of(self.model, verts), self.scan.verts, self.scan.faces,
                        self.scan.landmarks7, self.scan.region, align=align, samples=SAMPLES,
                    )["median"]  # fmt: skip
        first, wanted, before = self._against(self.verts)
        second, _, after = self._against(moved)
        counted = first & second & self.shown & self.patch.skin
        share = self.patch.mass[counted] / self.patch.mass[counted].sum()
        out |= {"normals_before": float(before[counted] @ share), "normals": float(after[counted] @ share)}
        own, wanted = displacement[self.patch.vertices], np.where(first, wanted, 0)
        for low, high in BANDS:
            x, y = (
                (self.patch.smoothed(field, low) - self.patch.smoothed(field, high))[counted] for field in (own, wanted)
            )
            if x.any():
                out[f"correlation_{low:g}_{high:g}"] = float(np.corrcoef(x, y)[0, 1])
                out[f"r2_{low:g}_{high:g}"] = float(1 - ((y - x) ** 2).sum() / (y**2).sum())
        return out


@torch.no_grad()
def _posed(result: FitResult) -> np.ndarray:
    value = result.parameters
    return result.model.shape(value.identity, value.expression)[0].double().numpy()


def _near(faces: np.ndarray, verts: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The triangles that a scan's face can be near to: a quarter of the time."""
    middle = marks.mean(0)
    near = (np.linalg.norm(verts - middle, axis=1) < 135) & (verts[:, 2] > middle[2] - 105)
    return faces[near[faces].all(1)]


def measure(folder: Path, name: str, scan: Scan, fitter: PersonFitter, cases: Sequence[str]) -> dict[str, dict]:
    """Some of CASES of one scan: their figures without and with the shared surface."""
    names = [f"{name}_{place:02d}" for place in SUBSETS["8"]]
    photos = [PersonPhoto(f"{each}.png", folder / f"{each}.png") for each in names]
    renders = [read_render(folder, each, scan) for each in names]
    out: dict[str, dict] = {}
    for case in cases:
        subset, _, way = case.partition(" ")
        places, own = SUBSETS[subset], replace(fitter, sharing=Sharing(static=WAYS.get(way, False)))
        began = time.process_time()
        person = own.fit([photos[place] for place in places])
        seconds = time.process_time() - began
        plain = Judge(scan, [member.whole() for member in person.members], bool(person.sharing.static))
        without = plain.figures(np.zeros(len(plain.verts)))
        lights = ("as rendered", *(LIGHTS if case in ("8", "4a") else ()))
        for light in lights:
            began = time.process_time()
            pictures = None if light == "as rendered" else relit([renders[place] for place in places], light)
            surface = refine_surface(
                member.whole() if pictures is None else replace(member.result, photo=pictures[place])
                for place, member in enumerate(person.members)
            )
            found = plain.figures(surface.displacement)
            out[f"{case}, {light}"] = {
                "without": without, "with": found, "trust": vars(surface.trust), "seconds_fit": seconds,
                "static": bool(person.sharing.static),
                "seconds_surface": time.process_time() - began,
            }  # fmt: skip
            print(name, line(f"{case}, {light}", out[f"{case}, {light}"]), flush=True)
    return out


def line(case: str, found: dict) -> str:
    """One case in words."""
    before, after, trust = found["without"], found["with"], found["trust"]
    bands = ", ".join(
        f"{low:g}-{high:g}: {after[f'correlation_{low:g}_{high:g}']:.2f} ({after[f'r2_{low:g}_{high:g}']:+.2f})"
        for low, high in BANDS if f"r2_{low:g}_{high:g}" in after
    )  # fmt: skip
    case += " (one expression)" if found["static"] else ""
    return (
        f"{case}: similarity {before['similarity']:.3f} > {after['similarity']:.3f}, rigid {before['rigid']:.3f} > "
        f"{after['rigid']:.3f}, normals {after['normals_before']:.2f} > {after['normals']:.2f}, diversity "
        f"{trust['diversity']:.3f}; {bands}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.person", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get(DATA_VARIABLE), metavar="DATA_DIR")
    parser.add_argument("--scans", default="james,lps", metavar="LIST")
    parser.add_argument("--cases", default=",".join(CASES), metavar="LIST", help=f"of {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, metavar="FILE", help="all figures as JSON")
    options = parser.parse_args(arguments)
    if options.data is None or not Path(options.data).is_dir():
        parser.error(f"name the folder of the evaluation sets by DATA_DIR or {DATA_VARIABLE}")
    fitter = PersonFitter(load_instruments(JobOptions()), keep_all=True, detail=False)
    data, found = Path(options.data), {}
    for name in options.scans.split(","):
        scan = read_scan(data / "scans" / f"{name}.npz")
        found[name] = measure(data / "synthetic", name, scan, fitter, options.cases.split(","))
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
