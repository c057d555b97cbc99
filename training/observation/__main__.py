"""Train the dense observation on rendered people, and hold it to people of a model that it has not seen and to scans.

    python -m training.observation DATA_DIR --work build/observation

DATA_DIR/fasseg, DATA_DIR/fasseg_train: photos that give people their skin; DATA_DIR/ict_facekit.npz: a head model to
render people with, beside facefit's own; DATA_DIR/synthetic, DATA_DIR/scans: renders of scans to test on. Steps, each
kept in --work and not done twice, so that what needs the data can be made on one machine and the rest on another:

1. skins.npy: the skins (training.observation.skins);
2. people/shard_0000.npz and so on: 500 rendered people each, the first one for testing (training.observation.rendered);
3. scans.npz: the renders of scans with their truth (training.observation.scans);
4. without_ict.pt: the network after people of facefit's own model alone;
5. both.pt: the network after all;
6. with --out, the ONNX file of that network, which facefit.observe.dense reads;
7. guess.npz: what the landmark stage with that network leaves over of all people, and what it lacks, and with --out
   beside it dense_identity.npz, what was learned from that (training.observation.guess);
8. errors.json: what each makes of unseen people of both models and of the scans, looking twice (at the picture and at
   its mirror image), beside what the landmarks' own surface and fits without a network do.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch

from facefit.fit.identity_guess import FILE
from facefit.model.model_file import load_model
from training.observation.export import export
from training.observation.guess import Lesson, held_to, learned, lesson, write
from training.observation.in_fit import network_observer
from training.observation.network import DenseNetwork
from training.observation.rendered import render_shards, studios
from training.observation.samples import Samples, load, load_scans
from training.observation.scans import build as build_scans
from training.observation.skins import build as build_skins
from training.observation.train import Schedule, errors_of, train

logger = logging.getLogger("training.observation")

SHARDS = 28
HEADS = ("facefit", "ict")


def trained(path: Path, samples: Samples, schedule: Schedule, device: str) -> DenseNetwork:
    """The network in `path`, trained and written when it is not there."""
    network = DenseNetwork(schedule.widths)
    if not path.is_file():
        logger.info("training %s on %d people", path.name, len(samples))
        temporary = path.with_suffix(".part")
        state = path.with_suffix(".state")
        torch.save(train(samples, schedule, device, state).state_dict(), temporary)
        temporary.replace(path)
        state.unlink(missing_ok=True)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def kept(path: Path, make) -> Path:
    """`path`, with the arrays that `make` gives written when it is not there."""
    if not path.is_file():
        logger.info("making %s", path.name)
        made, temporary = make(), path.with_name("part-" + path.name)
        if isinstance(made, dict):
            np.savez(temporary, **made)
        else:
            np.save(temporary, made)
        temporary.replace(path)
    return path


def guessed(
    given: argparse.Namespace, network: DenseNetwork, shards: list[Path], ict: Path, skins: Path
) -> dict[str, dict[str, float]]:
    """Learn what the landmark stage lacks with this network, write it beside it, and hold it to unseen people."""
    model, look = load_model(), network_observer(network)
    models = studios(ict, np.load(skins)[:1].astype(np.float32))

    def taught(name: str, paths: list[Path]) -> Lesson:
        path = kept(given.work / name, lambda: lesson(paths, models, model, look).__dict__)
        with np.load(path, allow_pickle=False) as file:
            return Lesson(*(file[field] for field in Lesson.__dataclass_fields__))

    arrays = learned(taught("guess.npz", shards[1:]))
    write(arrays, given.out.with_name(FILE))
    test = taught("guess_unseen.npz", shards[:1])
    found = {name: held_to(test[test.head == head], arrays) for head, name in enumerate(HEADS)}
    logger.info("%s: %s", FILE, found)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.observation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("build/observation"))
    parser.add_argument("--out", type=Path, help="an ONNX file, e.g. data/dense.onnx")
    parser.add_argument("--shards", type=int, default=SHARDS, help="of 500 rendered people, one of them for testing")
    parser.add_argument("--steps", type=int, default=Schedule().steps, help="of the optimiser")
    parser.add_argument("--batch", type=int, default=Schedule().batch)
    parser.add_argument("--workers", type=int, default=1, help="processes that render; the result is the same")
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument(
        "--fused", action="store_true", help="compile the training: a third faster, needs a C++ compiler"
    )
    parser.add_argument("--device", default="cpu", help="where the training runs: cpu, cuda")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(given.threads)
    given.work.mkdir(parents=True, exist_ok=True)

    folders = [given.data / "fasseg", given.data / "fasseg_train"]
    skins = kept(given.work / "skins.npy", lambda: build_skins(folders).astype(np.float16))
    ict = given.data / "ict_facekit.npz"
    shards = render_shards(given.work / "people", ict, skins, given.shards, given.workers)
    scans = load_scans(kept(given.work / "scans.npz", lambda: build_scans(given.data)))

    unseen, people = load(shards[:1]), load(shards[1:])
    tests = {f"people of {name}": unseen[unseen.head == head] for head, name in enumerate(HEADS)}
    tests |= {f"scan {name}": scans.samples[scans.names == name] for name in sorted(set(scans.names))}
    schedule = Schedule(steps=given.steps, batch=given.batch, fused=given.fused)
    results = {"fit without it": scans.fit_errors()}
    networks: dict[str, DenseNetwork | None] = {"landmarks": None}
    for name, seen in (("without_ict", people[people.head == 0]), ("both", people)):
        networks[name] = network = trained(given.work / f"{name}.pt", seen, schedule, given.device)
    if given.out is not None:
        logger.info("%s answers within %.3f of %s.pt", given.out, export(network, given.out), name)
        results["points of the face at rest, mm"] = guessed(given, network, shards, ict, skins)
    for name, network in networks.items():
        results[name] = {test: errors_of(network, samples, twice=True).means() for test, samples in tests.items()}
        logger.info("%s: %s", name, results[name])
    (given.work / "errors.json").write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
