"""Is a head model built as people are? Teeth behind lips, eyeballs behind lids that close, nothing that pokes through.

    python -m benchmarks.anatomy                            the bundled model: 50 random people
    python -m benchmarks.anatomy --model FILE --people 50 --poke 5
    python -m benchmarks.anatomy --sheet docs/images/head_expressions.jpg

The bars are anatomy's: the upper incisors end 1 to 4 mm below the edge of the upper lip and 2 to 8 mm behind it,
eyeballs of 24 mm, irises of 11.7 mm, lids that meet. `--poke` renders all expressions of some people from in front,
both sides and below, and counts what is seen of the mouth's inside and of eyeballs where skin should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import facefit  # noqa: F401  before numpy: it sets its threads

import numpy as np  # isort: skip
import torch
from PIL import Image

from facefit.anatomy.landmarks import LEFT_EYE, LID_PAIRS, LIPS_INNER, LOWER_LIP_INNER, RIGHT_EYE, UPPER_LIP_INNER
from facefit.anatomy.parts import LABEL
from facefit.geometry.mesh_graph import connected_pieces, mesh_edges
from facefit.geometry.polygon import polygon_pixels
from facefit.importers.gallery import grid
from facefit.importers.photograph import Subject, photograph
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model

MOUTH = (UPPER_LIP_INNER[5], LOWER_LIP_INNER[5])  # the middle of the lips
CORNERS = (61, 291)
MIDDLE = 3.0  # mm from the midline: the two middle incisors
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
SMILE = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}
PRESSED = SMILE | {"mouthPressLeft": 0.5, "mouthPressRight": 0.5, "mouthShrugLower": 0.5}
TOGETHER = {"smile": SMILE, "smile, lips pressed": PRESSED}
SIDE, FOCAL, VIEWS = 320, 2.1, ((-40.0, 0.0), (0.0, 0.0), (40.0, 0.0), (0.0, -35.0))  # yaw, pitch: the last from below
PLACES = ("", "right eye", "left eye", "mouth")
BESIDE = 3  # pixels of such a render, about a millimetre each: nearer to the opening, nothing is said
BARS = {
    "incisors below the upper lip's edge, mm": "1 to 4 for 95 %",
    "incisors behind it, mm": "2 to 8 for 95 %",
    "eyeball across, mm": "24 +- 0.5",
    "iris across, mm": "11.7",
    "widest gap of the lids at a whole blink, mm": "<= 0.3",
}


class People:
    """N random people of a model, and what their faces do.

    Args:
        people: N; seed: of their coefficients.
    """

    def __init__(self, model: FaceModel, people: int, seed: int = 5) -> None:
        self.model, draw = model, torch.Generator().manual_seed(seed)
        self.identity = torch.randn(people, model.sizes["identity"], generator=draw)

    def verts(self, activations: Mapping[str, float] | None = None) -> torch.Tensor:
        """(N, V, 3) mm."""
        expression = torch.zeros(len(self.identity), self.model.sizes["expression"])
        for name, value in (activations or {}).items():
            expression[:, self.model.expression_names.index(name)] = value
        return self.model.shape(self.identity, expression)

    def landmarks(self, activations: Mapping[str, float] | None = None) -> np.ndarray:
        """(N, 478, 3) mm."""
        return self.model.landmarks(self.verts(activations)).numpy()


def upper_teeth(model: FaceModel) -> np.ndarray:
    """Vertices of the upper row: of the pieces inside the mouth the one that lies highest."""
    piece = connected_pieces(mesh_edges(model.faces.numpy()), len(model.verts))
    inside = (model.vertex_label == LABEL["mouth_inside"]).numpy()
    loose = [np.flatnonzero(piece == p) for p in np.unique(piece[inside]) if inside[piece == p].all()]
    return max(loose, key=lambda rows: model.verts[rows, 1].mean().item())


def iris_diameter(model: FaceModel) -> float:
    """mm across, where the mean colours are half way between iris and white, around the right eye's axis."""
    ball = (model.eyeball == 1).numpy()
    verts, light = model.verts.numpy()[ball], model.albedo_mean.numpy()[ball].mean(1)
    weight = np.full(ball.sum(), 1 / ball.sum())
    if model.eyeball_weight is not None:
        weight = model.eyeball_weight.numpy()[ball]
    offset = verts - weight @ verts
    radius = np.linalg.norm(offset[:, :2], axis=1)
    front = offset[:, 2] > 0
    white = np.quantile(light[front], 0.9)
    dark = np.median(light[front & (radius > 2.5) & (radius < 4.5)])
    order = np.argsort(radius[front])
    radius, light = radius[front][order], light[front][order]
    lighter = np.flatnonzero((light > (white + dark) / 2) & (radius > 3))[0]
    return float(radius[max(lighter - 8, 0) : lighter + 8].mean() * 2)


def measures(model: FaceModel, people: People) -> dict[str, np.ndarray]:
    """Name -> one number a person, or (N, pairs)."""
    rest, blink = people.landmarks(), people.landmarks(BLINK)
    half = people.landmarks({name: 0.5 for name in BLINK})
    verts = people.verts().numpy()
    teeth = verts[:, upper_teeth(model)]
    middle = np.abs(teeth[..., 0]) < MIDDLE
    tip = np.where(middle, teeth[..., 1], np.inf).argmin(1)
    edge = teeth[np.arange(len(teeth)), tip] - rest[:, MOUTH[0]]
    balls = [verts[:, (model.eyeball == eye).numpy()] for eye in (1, 2)]
    across = np.mean([np.ptp(ball[..., axis], axis=1) for ball in balls for axis in (0, 1)], 0)
    first, second = np.array(LID_PAIRS).T

    def gaps(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, first] - points[:, second], axis=2)

    def opening(activations: Mapping[str, float]) -> np.ndarray:
        points = people.landmarks(activations)
        return points[:, MOUTH[0], 1] - points[:, MOUTH[1], 1]

    def width(activations: Mapping[str, float]) -> np.ndarray:
        points = people.landmarks(activations)
        return np.linalg.norm(points[:, CORNERS[0]] - points[:, CORNERS[1]], axis=1)

    return {
        "incisors below the upper lip's edge, mm": -edge[:, 1],
        "incisors behind it, mm": -edge[:, 2],
        "eyeball across, mm": across,
        "iris across, mm": np.array([iris_diameter(model)]),
        "widest gap of the lids at a whole blink, mm": gaps(blink).max(1),
        "mean gap at half a blink, % of the open eye's": 100 * gaps(half).mean(1) / gaps(rest).mean(1),
        "mouth's width at rest, mm": width({}),
        "the same, mouthPucker 1": width({"mouthPucker": 1.0}),
        "the same, smile 1": width(SMILE),
        "opening of the lips at rest, mm": opening({}),
        "the same, mouthFunnel 1": opening({"mouthFunnel": 1.0}),
        "the same, jawOpen 0.3": opening({"jawOpen": 0.3}),
        "the same, jawOpen 1": opening({"jawOpen": 1.0}),
        "the same, jawOpen 1 and mouthClose 1": opening({"jawOpen": 1.0, "mouthClose": 1.0}),
    }


def table(found: dict[str, np.ndarray]) -> str:
    """Markdown."""
    lines = ["| what | mean | sd | 2.5 % to 97.5 % | most | bar |", "|---|---|---|---|---|---|"]
    for name, values in found.items():
        low, high = np.quantile(values, [0.025, 0.975])
        bar = BARS.get(name, "")
        mean, spread, most = values.mean(), values.std(), values.max()
        lines.append(f"| {name} | {mean:.2f} | {spread:.2f} | {low:.2f} to {high:.2f} | {most:.2f} | {bar} |")
    return "\n".join(lines)


def states(model: FaceModel) -> dict[str, dict[str, float]]:
    """What is looked through: rest, each expression at 1, and what people do together."""
    return {"rest": {}} | {name: {name: 1.0} for name in model.expression_names} | TOGETHER


def poked(
    model: FaceModel, people: People, shown: Mapping[str, Mapping[str, float]] | None = None
) -> list[tuple[int, str, int, str]]:
    """Views in which an eyeball or what lies in the mouth (lining, gums, teeth, tongue) is seen outside of lids and
    lips: person, state, pixels, and where.

    Args:
        shown: states by name; None: all of `states`.
    """
    faces, eyeball = model.faces.numpy(), model.eyeball.numpy()
    mouth = ((model.vertex_label == LABEL["mouth_inside"]).numpy() & (eyeball == 0))[faces].all(1)
    kind = np.where(mouth, 3, eyeball[faces[:, 0]])
    corners = faces[model.landmark_faces.numpy()]
    colours, found = np.full((len(model.verts), 3), 0.7), []
    for name, activations in (states(model) if shown is None else shown).items():
        many = people.verts(activations)
        for person, verts in enumerate(many.double().numpy()):
            for yaw, pitch in VIEWS:
                picture = photograph(Subject(verts, colours), faces, yaw, pitch, size=SIDE, focal=FOCAL)
                seen = picture.rast[..., 3].astype(int) - 1
                what = np.where(seen >= 0, kind[np.maximum(seen, 0)], 0)
                pixels = (picture.pixels[corners] * model.landmark_bary.numpy()[:, :, None]).sum(1)
                for number, loop in ((1, RIGHT_EYE), (2, LEFT_EYE), (3, LIPS_INNER)):
                    allowed = _grown(polygon_pixels(seen.shape, pixels[list(loop)]), BESIDE)
                    outside = int(((what == number) & ~allowed).sum())
                    if outside > 2:
                        found.append((person, name, outside, f"yaw {yaw:.0f}, pitch {pitch:.0f}, {PLACES[number]}"))
    return found


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=pixels)


def sheet(model: FaceModel, people: People, side: int = 112) -> np.ndarray:
    """(H, W, 3) uint8: every expression at 1 on all people from in front and from the side, of two sides' the right
    one; `mouthClose` over an open jaw, which it belongs to."""
    colours, faces = model.albedo_mean.numpy().clip(0, 1), model.faces.numpy()
    pairs = {name.replace("Left", "Right") for name in model.expression_names if name.endswith("Left")}
    shown = [n for n in model.expression_names if not (n.endswith("Left") and n.replace("Left", "Right") in pairs)]
    tiles = []
    for name in shown:
        jaw = {"mouthClose": {"jawOpen": 1.0}}.get(name, {})
        for verts in people.verts({name: 1.0} | jaw).double().numpy():
            for yaw in (0.0, 40.0):
                picture = photograph(
                    Subject(verts + [0, -12, 0], colours), faces, yaw, light=(0.3, 0.5, 1.0), size=2 * side, focal=3.3
                ).image
                tiles.append((picture.reshape(side, 2, side, 2, 3).mean((1, 3)).astype(np.uint8), name))
    return grid(tiles, 2 * len(people.identity))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anatomy", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", help="model file or name; default: the bundled one")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--poke", type=int, default=0, help="people whose expressions are all looked through")
    parser.add_argument("--sheet", type=Path, help="write a picture of all expressions of five people")
    given = parser.parse_args()
    model = load_model(given.model) if given.model else load_model()
    with torch.no_grad():
        print(f"{model.name} {model.version}: {given.people} random people\n")
        print(table(measures(model, People(model, given.people))))
        if given.poke:
            found = poked(model, People(model, given.poke))
            views = len(VIEWS) * given.poke * len(states(model))
            print(f"\nviews in which something pokes through, of {views}: {len(found)}")
            for person, name, pixels, where in found:
                print(f"  person {person}, {name}: {pixels:.0f} pixels, {where}")
        if given.sheet:
            Image.fromarray(sheet(model, People(model, 5))).save(given.sheet, quality=72)


if __name__ == "__main__":
    main()
