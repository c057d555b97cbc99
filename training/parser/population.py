"""A population whose faces are known: rendered people of ICT-FaceKit's model, as a set for benchmarks.evaluate.

    python -m training.parser.population DATA_DIR/population --ict ict_facekit.npz

Two scans cannot tell fits apart that differ by .05 mm; some tens of people can. Each gets NAME.png, its camera in
NAME.json and its true surface in NAME.npz, as the sets of scans have them (benchmarks.dataset). Person n depends on the
seed and n alone. The people are of a model: whatever knows that model (its own fit, a prior made of it) is favoured.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from facefit.anatomy.landmarks import FACE_OVAL, LANDMARKS7
from facefit.geometry.polygon import inside
from facefit.geometry.triangles import vertex_normals
from facefit.synth.heads import SKIN, Head
from facefit.synth.people import Person, random_person
from facefit.synth.photograph import Photograph, photograph
from training.parser.ict_head import ict_head
from training.parser.rendered_people import portrait_detector

COUNT = 60
SEED = 7
SIZE = 512
YAW = 45 / 70  # of what the parser learns from: at most 45 degrees; beyond, half of a face is guesswork for every fit
EXPRESSION = 0.6  # at most, of the same: shapes are compared here, and open mouths are mostly mouth


def people(head: Head, seed: int, number: int) -> tuple[Person, np.random.Generator]:
    """Person `number`, and the source of what else is random about the picture.

    Identity is drawn as the model says, neither shrunk nor cut off: a mean face must not look better than it is.
    """
    rng = np.random.default_rng((seed, number))
    anyone = random_person(head, rng)
    yaw, pitch, roll = anyone.pose
    strength = rng.uniform(0, EXPRESSION)
    return replace(
        anyone, identity=rng.standard_normal(len(head.identity)), pose=(YAW * yaw, pitch, roll),
        expression={name: strength * value for name, value in anyone.expression.items()},
    ), rng  # fmt: skip


def oval(head: Head) -> np.ndarray:
    """(V,) bool: the skin inside the landmarks' face oval on the mean face, seen from the front."""
    front = np.zeros(len(head.verts), bool)
    front[np.unique(head.faces[head.kind == SKIN])] = True
    front &= vertex_normals(head.verts, head.faces)[:, 2] > 0
    outline = head.landmarks(head.verts)[list(FACE_OVAL)]
    return front & inside(head.verts[:, :2].astype(np.float64), outline[:, :2].astype(np.float64))


def write(folder: Path, name: str, head: Head, shot: Photograph, photo: np.ndarray, region: np.ndarray) -> None:
    """The three files of one person; `photo`: (S, S, 3) uint8."""
    size = photo.shape[0]
    camera = [[shot.focal, 0.0, size / 2], [0.0, shot.focal, size / 2], [0.0, 0.0, 1.0]]
    Image.fromarray(photo).save(folder / f"{name}.png")
    (folder / f"{name}.json").write_text(json.dumps({"image": f"{name}.png", "K": camera}) + "\n")
    np.savez_compressed(
        folder / f"{name}.npz", verts=shot.verts, faces=head.faces[head.kind == SKIN].astype(np.int32),
        landmarks7=head.landmarks(shot.verts)[list(LANDMARKS7)], region_oval=region, rotation=shot.rotation,
        translation=shot.translation, landmarks=shot.landmarks,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="FOLDER")
    parser.add_argument("--ict", type=Path, required=True, metavar="ict_facekit.npz")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    head, detector = ict_head(str(options.ict)), portrait_detector()
    region = oval(head)
    options.out.mkdir(parents=True, exist_ok=True)
    made = number = 0
    while made < options.count:
        person, rng = people(head, options.seed, number)
        shot = photograph(head, rng, SIZE, person)
        photo = (shot.image * 255).astype(np.uint8)
        if detector.detect(photo):  # a face that nobody finds cannot be fitted
            write(options.out, f"person_{number:03d}", head, shot, photo, region)
            made += 1
        number += 1


if __name__ == "__main__":
    main()
