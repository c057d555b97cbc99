"""A row of pictures for each photo: the photo, the textured head from several sides, and with expressions.

    python -m benchmarks.figures_textured SHEET.jpg PHOTO... [--texture photo|albedo] [--model NAME]

What to look for is in docs/textures.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from facefit.fit.descent import fit_faces
from facefit.fit.instruments import Instruments
from facefit.fit.result import FitResult
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.output.overlay import overlay_window
from facefit.output.texture_picture import texture_picture
from facefit.output.textured_view import textured_view
from facefit.photo.photo import read_photo
from facefit.photo.window import sample_window

SIDES = (0, 40, -40, 80, -80)  # degrees
EXPRESSIONS = (
    {"jawOpen": 0.5}, {"mouthSmileLeft": 1, "mouthSmileRight": 1}, {"eyeBlinkLeft": 1, "eyeBlinkRight": 1},
    {"mouthFunnel": 0.8},
)  # fmt: skip
TILE = 200  # pixels


def row(result: FitResult, kind: str) -> np.ndarray:
    """(TILE, N TILE, 3) uint8."""
    picture, inside = sample_window(result.photo, overlay_window(result.scene, TILE))
    texture = texture_picture(result, kind=kind)
    tiles = [(picture * inside[..., None]).astype(np.uint8)]
    tiles += [textured_view(result.model, result.verts, texture, yaw, TILE) for yaw in SIDES]
    for wanted in EXPRESSIONS:
        tiles.append(textured_view(result.model, with_expression(result, wanted), texture, 0, TILE))
    return np.concatenate(tiles, 1)


def with_expression(result: FitResult, wanted: dict[str, float]) -> np.ndarray:
    """(V, 3) the person's vertices with these activations and no others, looking ahead."""
    value = result.parameters
    expression = torch.zeros_like(value.expression)
    for name, activation in wanted.items():
        if name in result.model.expression_names:
            expression[0, result.model.expression_names.index(name)] = activation
    changed = replace(value, expression=expression, gaze=torch.zeros_like(value.gaze))
    return replace(result.scene, parameters=changed).verts_in("model")


def fitted(path: Path, instruments: Instruments) -> FitResult:
    """The largest face of a photo."""
    return fit_faces(read_photo(path), instruments)[0]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--texture", default="photo")
    parser.add_argument("--model")
    given = parser.parse_args(arguments)
    instruments = load_instruments(JobOptions(model=given.model))
    rows = [row(fitted(path, instruments), given.texture) for path in given.photos]
    Image.fromarray(np.concatenate(rows)).save(given.sheet, quality=88)


if __name__ == "__main__":
    main()
