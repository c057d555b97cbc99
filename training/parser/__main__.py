"""Train the face parser that facefit ships.

    python -m training.parser DATA_DIR --out data/parser.onnx

DATA_DIR/fasseg, DATA_DIR/fasseg_train: hand-labelled photos; DATA_DIR/ict_facekit.npz: a head model to render people
with, beside facefit's own. Steps, each kept in --work and not done twice:

1. photos.npz: the photos, with finer labels by fitting the model to each (training.parser.photos);
2. rendered.npz: people rendered with exact labels (training.parser.rendered_people);
3. pretrained.pt: the networks after the rendered people alone;
4. without_v2.pt: these after rendered people and the photos of V3, which is one camera and seven people; scored on the
   photos of V2, other cameras and other people;
5. parser.pt: these after all there is, exported to --out;
6. with --folds: seven times from pretrained.pt without one person of V3, scored on that person. The scores are in
   scores.json, and 4 and 6 are kept as .onnx files, so that fits can be scored with a parser that has not seen their
   photos.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import torch  # isort: skip

from facefit.observe.segment.face_parser import ParserSegmenter
from training.parser.augment import Augmentation
from training.parser.evaluate import GROUPS, Scored, look, means, score
from training.parser.export import export
from training.parser.network import Parser
from training.parser.photos import build as build_photos
from training.parser.rendered import build as build_rendered
from training.parser.samples import Samples, concatenate
from training.parser.train import Schedule, torch_networks, train

logger = logging.getLogger("training.parser")

RENDERED = 2000
PRETRAINING = Schedule(steps=1500, rendered=1.0, seed=1)
CROSS_CAMERA = Schedule(steps=2000, rendered=0.35, rate=2e-3, seed=2)
EVERYTHING = Schedule(steps=2400, rendered=0.45, rate=2e-3, seed=3)
FOLD = Schedule(steps=300, rendered=0.35, rate=2e-3, average=0.98, seed=4)
PEOPLE = ("01", "02", "03", "04", "05", "06", "07")


def kept(path: Path, make: Callable[[], Samples]) -> Samples:
    """The samples in `path`, made and written when they are not there."""
    if not path.is_file():
        logger.info("making %s", path)
        make().save(path)
    return Samples.load(path)


def trained(path: Path, samples: Samples, schedule: Schedule, start: Parser | None, workers: int) -> Parser:
    """The networks in `path`, trained and written when they are not there."""
    network = Parser()
    if not path.is_file():
        logger.info("training %s on %d windows", path, len(samples))
        made = train(samples, schedule, Augmentation(), start, workers)
        temporary = path.with_suffix(".part")
        torch.save(made.state_dict(), temporary)
        temporary.replace(path)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def scores(parser: Parser, photos: list[Scored]) -> dict[str, dict[str, float]]:
    """Means of every group of photos."""
    segmenter = ParserSegmenter(networks=torch_networks(parser))
    rows = [(photo, score(segmenter, photo)) for photo in photos]
    out = {}
    for name, member in GROUPS.items():
        group = [row for photo, row in rows if member(photo)]
        if group:
            out[name] = {"photos": len(group), **means(group)}
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.parser", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="the ONNX file to write; nothing is written without it")
    parser.add_argument("--work", type=Path, default=Path("build/parser"))
    parser.add_argument("--folds", action="store_true")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw examples; the result is the same")
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)

    folders = [given.data / "fasseg", given.data / "fasseg_train"]
    photos = kept(given.work / "photos.npz", lambda: build_photos(folders))
    rendered = kept(given.work / "rendered.npz", lambda: build_rendered(given.data / "ict_facekit.npz", RENDERED))
    start = trained(given.work / "pretrained.pt", rendered, PRETRAINING, None, given.workers)

    seen = {"v2": photos.sources == "v2", **{name: photos.people == name for name in PEOPLE}}

    def without(name: str, schedule: Schedule) -> Parser:
        network = trained(
            given.work / f"without_{name}.pt",
            concatenate([photos[~seen[name]], rendered]),
            schedule,
            start,
            given.workers,
        )
        export(network, given.work / f"without_{name}.onnx")
        return network

    cross = without("v2", CROSS_CAMERA)
    if given.out is not None:
        everything = concatenate([photos, rendered])
        network = trained(given.work / "parser.pt", everything, EVERYTHING, cross, given.workers)
        difference = export(network, given.out)
        size = given.out.stat().st_size
        logger.info("%s: %d bytes, differs from the networks by %.1e at most", given.out, size, difference)
    if given.folds:
        networks = {"v2": cross, **{name: without(name, FOLD) for name in PEOPLE}}
        write_scores(given.work / "scores.json", networks, look(given.data))
    return 0


def write_scores(path: Path, networks: dict[str, Parser], photos: list[Scored]) -> None:
    """Score each network on what was left out of its training."""
    results = {}
    for name, network in networks.items():
        unseen = [one for one in photos if name in (one.source, one.person) or (name == "v2" and one.source == "ict")]
        results[name] = scores(network, unseen)
        for group, figures in results[name].items():
            logger.info("without %s: %s %s", name, group, {key: round(value, 3) for key, value in figures.items()})
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(results, indent=1))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
