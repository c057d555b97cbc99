"""What rendered people with closed eyes and winks are worth to a face parser: trained with them and without.

    python -m training.parser.closed_eyes DATA_DIR --blinks FOLDER --work build/closed_eyes

DATA_DIR/synthetic has renders of a scan with closed eyes (lps_*); FOLDER has pictures of closing eyes with exact labels
(`blinks` of `python -m benchmarks.report`). Both parsers see people of facefit's own model alone, so that people, head
model and cameras of what they are scored on are new to them, and the same people under the same light: only the lids
differ. The overlap of the parts that close, and how much eye is seen on the scan, which shows none, are in scores.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import imageio.v3 as iio  # isort: skip
import numpy as np
import torch

from facefit.anatomy.parts import LABEL
from facefit.evaluate.segmenter import face_window, score_rendered
from facefit.observe.detector import NetworkDetector
from facefit.observe.parse import PARSE_WINDOW, to_photo
from facefit.observe.segment.face_parser import ParserSegmenter
from facefit.photo.photo import read_photo
from facefit.synth.expressions import with_expression
from facefit.synth.heads import Head, own_head
from facefit.synth.people import Person, random_person
from training.parser.__main__ import kept, trained
from training.parser.rendered import samples_of
from training.parser.rendered_people import portrait_detector, render_sample
from training.parser.samples import Samples
from training.parser.train import Schedule, torch_networks

logger = logging.getLogger("training.parser.closed_eyes")

SHARES = {"closed-eyes": 0.25, "wink": 0.15}  # of the people; the others' eyes are open
EYES = ("right_eye", "left_eye")


def lids(person: Person, wanted: str | None, head: Head, rng: np.random.Generator) -> Person:
    """The person with open eyes, or with lids as one of SHARES has them."""
    opened = {name: value for name, value in person.expression.items() if not name.startswith("eyeBlink")}
    if wanted is None:
        return replace(person, expression=opened)
    names = head.expression_names
    shut = with_expression(wanted, names, np.array([opened.get(name, 0.0) for name in names], np.float32), rng)
    return replace(person, expression=dict(zip(names, shut.tolist(), strict=True)))


def render(count: int, shut: bool, seed: int) -> Samples:
    """`count` people of facefit's own model, with shares of closed eyes and winks or without."""
    head, detector, samples, number = own_head(), portrait_detector(), [], 0
    while len(samples) < count:
        rng, own = (np.random.default_rng((seed, number, stream)) for stream in (0, 1))
        number += 1
        chance = own.random()
        wanted = None
        if shut and chance < sum(SHARES.values()):
            wanted = "closed-eyes" if chance < SHARES["closed-eyes"] else "wink"
        sample = render_sample(head, rng, detector, person=lids(random_person(head, own), wanted, head, own))
        if sample is not None:
            samples.append(sample)
    return samples_of(samples)


def scored(segmenter: ParserSegmenter, blinks: Path, scans: Path) -> dict[str, float]:
    """Overlap of closing and of open eyes on `blinks`; on the scan, eye per thousand pixels of face."""
    detector, found = NetworkDetector(), {"closing": [], "open": [], "scan": []}

    def parts(path: Path) -> np.ndarray | None:
        photo = read_photo(path)
        faces = detector.detect(photo.pixels)
        if not faces:
            return None
        image, inside, window = face_window(photo.pixels, faces[0].landmarks, PARSE_WINDOW)
        return to_photo(segmenter.segment(image, inside, window).labels, window, photo.pixels.shape[:2])

    for truth in sorted(blinks.glob("*_parts.png")):
        labels = parts(truth.with_name(truth.name.replace("_parts", "")))
        if labels is None:
            continue
        score = score_rendered(labels, iio.imread(truth, mode="L"))
        for eye in EYES:
            side = eye.partition("_")[0]
            if (value := score.get(f"{side} eye")) is not None:
                found["open" if "wink" in truth.name and side not in truth.name else "closing"].append(value)
    for path in sorted(scans.glob("lps_??.png")):
        labels = parts(path)
        if labels is not None:
            face = iio.imread(path.with_name(f"{path.stem}_mask.png"), mode="L") > 0
            eye = np.isin(labels, [LABEL[name] for name in EYES])
            found["scan"].append(1000 * float((eye & face).sum() / face.sum()))
    return {name: float(np.mean(values)) for name, values in found.items() if values} | {
        "pictures": len(found["scan"]) + len(list(blinks.glob("*_parts.png")))
    }


def main(arguments: list[str] | None = None) -> int:
    """Both parsers, and what they score."""
    parser = argparse.ArgumentParser(
        prog="python -m training.parser.closed_eyes", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("data", type=Path)
    parser.add_argument("--blinks", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/closed_eyes"))
    parser.add_argument("--people", type=int, default=800)
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument(
        "--seeds", type=int, default=1, help="trainings of each kind; their figures are written one by one"
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(given.seeds):
        for kind, shut in (("without", False), ("with", True)):
            stem = f"{kind}_{seed}"
            samples = kept(given.work / f"{stem}.npz", lambda shut=shut, seed=seed: render(given.people, shut, seed))
            schedule = Schedule(steps=given.steps, rendered=1.0, seed=seed)
            networks = trained(given.work / f"{stem}.pt", samples, schedule, None, 0)
            segmenter = ParserSegmenter(networks=torch_networks(networks))
            rows.append({"kind": kind, "seed": seed, **scored(segmenter, given.blinks, given.data / "synthetic")})
            logger.info("%s", json.dumps(rows[-1]))
            (given.work / "scores.json").write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
