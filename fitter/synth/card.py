"""The data card: what a folder of synthetic people is, under what terms, and what it cannot do."""

from __future__ import annotations

from ..version import VERSION
from .options import SynthOptions


def data_card(options: SynthOptions, model: dict) -> str:
    """Markdown. `model`: name, version, license and sha256 of the head model, as the pictures' JSON has it."""
    of_35mm = "-".join(f"{value:g}" for value in options.focal)
    shares = ", ".join(f"{name} {getattr(options, name):g}" for name in ("hair", "glasses", "hands", "masks"))
    saved = "PNG" if options.jpeg is None else "JPEG of quality " + "-".join(map(str, options.jpeg))
    return f"""# {options.count} pictures of {options.people} people who do not exist

![The first of them with their parts](sheet.jpg)

Drawn by facefit {VERSION} (`facefit synth`) from the head model *{model["name"]}*, version {model["version"]},
seed {options.seed}. No photo of anybody went into skin, hair, clothes or backgrounds: they are painted by code.

| | |
|---|---|
| pictures | {options.size} x {options.size} pixels, {saved}, {options.photos} of each person |
| expressions | {", ".join(options.expressions)} |
| turned | up to {options.yaw:g} degrees |
| focal lengths | {of_35mm} mm (35 mm camera) |
| shares | {shares} |
| light, noise | {options.light}, up to {options.noise:g} |

Beside each picture lie NAME.npz and NAME.json; facefit's `docs/synthetic.md` has the table of what is in them.

## Terms

The pictures show the shapes of the model *{model["name"]}*, whose licence is: {model["license"]}.
What that licence asks of pictures of the model holds for these. facefit itself asks nothing of them.

## Limits

* The people are drawn, and look it: skin has pores and spots but no wrinkles that move, hair is a painted shell,
  teeth and tongue are the model's. What is trained on them needs real photos to be tested on.
* Shapes are those of the model: babies, scars, illness and what else its population lacks are not here. Skin tones,
  hair styles and beards are drawn independently of each other and of the shape.
* Glasses, hands and masks are flat layers with labels and without depth; depth, normals, texture coordinates and
  landmarks are those of the head below them, of hair and of clothes.
* The edge between skin and hair is where the paint says; strands that are thinner than a pixel are not labelled.
"""
