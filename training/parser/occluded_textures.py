"""What occluders leave in textures: renders with known faces, with something drawn before them by code, and without.

    python -m training.parser.occluded_textures DATA [--every 1] [--size 512]

DATA holds synthetic/. Both textures belong to the fit of the clean picture; the parser sees the occluded one. The
difference (mean absolute, of 255) is taken over texels that the clean photo shows and that the occluder or its shadow
changed, and over the others.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from facefit.fit.descent import fit_observed
from facefit.fit.result import FitResult
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.observe.faces import select_faces
from facefit.output.seen_pixels import seen_pixels
from facefit.output.texture import texels, unwrap
from facefit.photo.photo import read_photo
from facefit.synth.occluders import draw_occluder

KINDS = ("hair", "hand", "phone", "glasses")
_CHANGED = 12  # of 255: less is the noise that drawing adds
_BESIDE = 2  # pixels around what was changed


def pixels_of_texels(result: FitResult, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column and row of the photo under each texel, (size, size) int, and whether the texel belongs to the mesh."""
    face, bary = texels(result.model, size)
    place = (bary[..., None] * result.verts_in("camera")[result.model.faces.numpy()[face]]).sum(2)
    focal, centre = result.camera.focal[0].numpy(), result.camera.centre[0].numpy()
    depth = np.minimum(place[..., 2], -1.0)
    column, row = centre[0] - focal[0] * place[..., 0] / depth, centre[1] + focal[1] * place[..., 1] / depth
    height, width = result.photo.shape[:2]
    return np.clip(column, 0, width - 1).astype(int), np.clip(row, 0, height - 1).astype(int), face >= 0


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every N-th picture")
    parser.add_argument("--size", type=int, default=512, help="side of the textures")
    given = parser.parse_args(arguments)
    tools = load_instruments(JobOptions())
    paths = [path for path in sorted((given.data / "synthetic").glob("*.png")) if "mask" not in path.stem]
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for number, path in enumerate(paths[:: given.every]):
        photo = read_photo(path)
        face = select_faces(tools.detector.detect(photo.pixels), "largest")[0]
        clean = fit_observed(tools.observe(photo, face), tools, photo=photo)[0]
        before, shown = unwrap(clean.scene, seen_pixels(clean), given.size)
        column, row, inside = pixels_of_texels(clean, given.size)
        for order, kind in enumerate(KINDS):
            rng = np.random.default_rng(1000 * number * given.every + order)
            whole = np.ones(photo.pixels.shape[:2], np.uint8)
            drawn, _ = draw_occluder(photo.pixels.astype(np.float32) / 255, whole, face.landmarks[:, :2], rng, kind)
            pixels = (drawn * 255 + 0.5).astype(np.uint8)
            seen = tools.observe(replace(photo, pixels=pixels), face)
            hidden = replace(clean, photo=pixels, observation=seen)
            after, _ = unwrap(hidden.scene, seen_pixels(hidden), given.size)
            changed = np.abs(pixels.astype(int) - photo.pixels).max(2) > _CHANGED
            affected = ndimage.binary_dilation(changed, iterations=_BESIDE)[row, column]
            difference, counted = np.abs(after.astype(int) - before).mean(2), inside & (shown > 0.5)
            if (affected & counted).sum() > 50:
                found[kind].append(
                    (float(difference[affected & counted].mean()), float(difference[~affected & counted].mean()))
                )
    for kind, values in {**found, "all": [pair for pairs in found.values() for pair in pairs]}.items():
        under, beside = np.mean(values, 0)
        print(f"{kind:8} {len(values):3} pictures: affected {under:5.2f}, elsewhere {beside:4.2f}")


if __name__ == "__main__":
    main()
