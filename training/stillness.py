"""Who kept still: rendered people whose movements are known, and people in photos, for facefit.person.stillness.

    python -m training.stillness --ict ict_facekit.npz [--people 40] [--photos DATA_DIR] [--out sessions.json]

Each rendered person, of facefit's head and of ICT-FaceKit's in turn, is photographed from eight sides with one
expression, in one room with one lens or as an album (any light, lens and side up to 45 degrees), and again with a
smile, an open jaw, closed lids and so on added, in one photo or in two. The package's detector and parser look at them.
Printed are the largest amounts of each movement (facefit.person.stillness.MOVEMENTS) that were found in sessions of who
kept still, of which the limits are the 95 % quantiles (of brows the 90 %), and how many sessions of each kind count as
still with the limits as they are. DATA_DIR/fasseg and fasseg_train: sessions of people who were asked to keep still, to
hold the limits against. With another head or detector they are to be looked at again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip

from facefit.anatomy.landmarks import IRISES
from facefit.fit.first_guess import first_guess
from facefit.fit.instruments import Instruments
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.observe.lids import lids_by_masks
from facefit.observe.observation import Observation
from facefit.person.sharing import Sharing
from facefit.person.stillness import MOVEMENTS, stillness
from facefit.photo.photo import Photo, read_photo
from facefit.scene.parameters import Parameters
from facefit.synth.camera_effects import degrade
from facefit.synth.heads import Head, own_head
from facefit.synth.people import Person, random_expression, random_person
from facefit.synth.photograph import Wishes, photograph
from training.parser.ict_head import ict_head

SEED = 11
SIDE, FRAMING = 400, 1.9  # pixels, and sides of the photo over those of the landmarks' box
ROOM = (0, 15, -15, 30, -30, 8, -22, 22)  # degrees of yaw, a view each
ALBUM = 45.0  # degrees of yaw at most
TREMBLE = 0.02  # of activations, of who keeps still
TRUSTED = 0.08  # of the face's size: landmarks farther from the truth are of something else
SIZES = (3, 4, 5, 8)  # photos of a session
FRONTAL = 30  # degrees of yaw at most, of the photos of people

# what is added to the expression of a photo, and how much of it; the second photo of a session gets the last amount
MOVES: dict[str, tuple[dict[str, float], tuple[float, ...]]] = {
    "smile": ({"mouthSmile": 1.0, "cheekSquint": 0.5}, (0.3, 0.6)),
    "jaw": ({"jawOpen": 1.0}, (0.15, 0.3)),
    "blink": ({"eyeBlink": 1.0}, (0.5, 1.0)),
    "brows up": ({"browInnerUp": 1.0, "browOuterUp": 1.0}, (0.25, 0.5)),
    "brows down": ({"browDown": 1.0}, (0.5,)),
    "pucker": ({"mouthPucker": 1.0}, (0.5,)),
    "speech": ({"jawOpen": 0.3, "mouthFunnel": 0.4, "mouthUpperUp": 0.2}, (1.0,)),
}

Key = tuple[str, float, int]  # what was added, how much of it, the view


@dataclass(frozen=True)
class Session:
    """What was found of some photos of one person: `moved` as in facefit.person.stillness.Stillness."""

    person: str
    kind: str
    amount: float
    photos: int
    still: bool
    moved: dict[str, float]


@dataclass(frozen=True)
class Sitter:
    """A rendered person: who it is, the expression that is held, whether in one room, and what all is drawn from."""

    head: Head
    who: Person
    held: dict[str, float]
    room: bool
    seed: tuple[int, int]

    def photo(self, view: int, expression: Mapping[str, float]) -> tuple[np.ndarray, float, np.ndarray]:
        """(S, S, 3) uint8, its focal length in pixels and the true landmarks (478, 2); the same view has the same
        light, side and lens."""
        rng = np.random.default_rng((*self.seed, view, 0))
        yaw = ROOM[view] + rng.normal(0, 3) if self.room else rng.uniform(-ALBUM, ALBUM)
        pose = (yaw, rng.normal(0, 3 if self.room else 9), rng.normal(0, 3 if self.room else 6))
        tremble = np.random.default_rng((*self.seed, view, 1))
        shown = {name: float(np.clip(v + tremble.normal(0, TREMBLE), 0, 1)) for name, v in expression.items()}
        person = replace(
            self.who, expression=shown, pose=tuple(np.radians(pose)),
            gaze=np.tile(np.radians(rng.normal(0, 5, 2)), (2, 1)),
            focal=self.who.focal if self.room else float(rng.uniform(1.6, 5)),
        )  # fmt: skip
        wishes = Wishes(look=self.seed, light="soft" if self.room else "any")
        shot = photograph(self.head, rng, SIDE, person, framing=FRAMING, wishes=wishes)
        return (degrade(shot.image, rng) * 255).astype(np.uint8), shot.focal, shot.landmarks


def sitter(heads: Sequence[Head], seed: int, number: int) -> Sitter:
    """Person `number`: of four that follow each other two hold some expression; four in a room, then four in albums."""
    rng, head = np.random.default_rng((seed, number)), heads[number % len(heads)]
    who = random_person(head, rng)
    identity = np.clip(rng.standard_normal(len(head.identity)), -2.5, 2.5)
    held: dict[str, float] = {}
    if number // 2 % 2:
        share, some = rng.uniform(0.2, 0.7), random_expression(head.expression_names, np.zeros(2), rng)
        held = {name: share * value for name, value in some.items() if not name.startswith("eyeLook")}
    focal = float(rng.uniform(1.8, 5))
    return Sitter(head, replace(who, identity=identity, focal=focal), held, number // 4 % 2 == 0, (seed, number))


def added(
    names: Sequence[str], held: Mapping[str, float], move: Mapping[str, float], amount: float
) -> dict[str, float]:
    """An expression with a movement of both sides added to it."""
    out = dict(held)
    for stem, share in move.items():
        for name in {stem, f"{stem}Left", f"{stem}Right"} & set(names):
            out[name] = min(1.0, out.get(name, 0.0) + share * amount)
    return out


def looked(
    tools: Instruments, photo: np.ndarray, focal: float | None = None, truth: np.ndarray | None = None
) -> Observation | None:
    """A photo as `facefit person` sees it; None where the face is not found where it truly is."""
    faces = tools.detector.detect(photo)
    if not faces:
        return None
    if truth is not None:
        error = np.linalg.norm(faces[0].landmarks[: IRISES.start] - truth[: IRISES.start], axis=1).mean()
        if error > TRUSTED * faces[0].size:
            return None
    return lids_by_masks(tools.observe(Photo(photo, None), faces[0], focal=focal))


def shots(one: Sitter, tools: Instruments, rng: np.random.Generator) -> dict[Key, Observation]:
    """Of each view the person at rest, of two each movement, of five an expression of its own."""
    wanted: dict[Key, Mapping[str, float]] = {("still", 0.0, view): one.held for view in range(len(ROOM))}
    names = one.head.expression_names
    for kind, (move, amounts) in MOVES.items():
        for view in rng.choice(len(ROOM), 2, replace=False).tolist():
            wanted |= {(kind, amount, view): added(names, one.held, move, amount) for amount in amounts}
    wanted |= {("another", 1.0, view): random_expression(names, np.zeros(2), rng) for view in range(5)}
    seen = {key: looked(tools, *one.photo(key[2], shown)) for key, shown in wanted.items()}
    return {key: observation for key, observation in seen.items() if observation is not None}


def chosen(keys: Sequence[Key], rng: np.random.Generator) -> Iterator[tuple[str, float, list[Key]]]:
    """Kind, amount and photos of sessions: who kept still, moved in one photo or in two ("both"), or in all."""
    still = [key for key in keys if key[0] == "still"]

    def beside(moved: list[Key], size: int) -> list[Key]:
        others = [key for key in still if key[2] not in {key[2] for key in moved}]
        count = min(size - len(moved), len(others))
        return moved + [others[place] for place in rng.choice(len(others), count, replace=False)]

    for size in SIZES:
        for _ in range(1 if size == max(SIZES) else 2):
            yield "still", 0.0, beside([], size)
    moved = [key for key in keys if key[0] in MOVES]
    for key in moved:
        yield key[0], key[1], beside([key], int(rng.choice(SIZES)))
    for kind, (_, amounts) in MOVES.items():
        both = [key for key in moved if key[:2] == (kind, amounts[-1])]
        if len(both) == 2:
            yield f"{kind}, both", amounts[-1], beside(both, 4)
    another = [key for key in keys if key[0] == "another"]
    if len(another) >= SIZES[0]:
        yield "another", 1.0, another


def judged(
    person: str, kind: str, amount: float, seen: Sequence[tuple[Observation, Parameters]], tools: Instruments
) -> Session:
    """What facefit.person.stillness says of some photos with their own fits."""
    observation = Observation.cat([one for one, _ in seen])
    start = Parameters.cat([fit for _, fit in seen])
    found = stillness(observation, start, tools.model, tools.config, Sharing(static=None))
    return Session(person, kind, amount, len(seen), found.still, found.moved)


def rendered_sessions(heads: Sequence[Head], count: int, tools: Instruments, seed: int) -> Iterator[Session]:
    """Of `count` people."""
    for number in range(count):
        one, rng = sitter(heads, seed, number), np.random.default_rng((seed, number, len(ROOM), 2))
        seen = {key: (own, _guess(own, tools)) for key, own in shots(one, tools, rng).items()}
        for kind, amount, keys in chosen(list(seen), rng):
            if len(keys) >= SIZES[0]:
                yield judged(f"{one.head.name} {number}", kind, amount, [seen[key] for key in keys], tools)


def _guess(observation: Observation, tools: Instruments) -> Parameters:
    return first_guess(observation, tools.model, tools.config)


def photo_sessions(data: Path, tools: Instruments) -> Iterator[Session]:
    """Of the people of FASSEG's set V3, two sessions each."""
    sessions: dict[str, list[Path]] = {}
    for folder in (data / "fasseg", data / "fasseg_train"):
        for item in json.loads((folder / "index.json").read_text())["items"]:
            if "person" in item and abs(item["yaw"]) <= FRONTAL:
                sessions.setdefault(item["name"].rsplit("_", 1)[0], []).append(folder / f"{item['name']}.png")
    for name, paths in sorted(sessions.items()):
        photos = (looked(tools, read_photo(path).pixels) for path in sorted(paths))
        seen = [(own, _guess(own, tools)) for own in photos if own is not None]
        if len(seen) >= SIZES[0]:
            yield judged(name, "photos", 0.0, seen, tools)


def told(sessions: Sequence[Session]) -> Iterator[str]:
    """The lines that are printed: quantiles of who kept still, and how many of each kind count as still."""
    still = [session for session in sessions if session.kind == "still"]
    for name, movement in MOVEMENTS.items():
        values = [session.moved[name] for session in still]
        shares = ", ".join(f"{share:.0%} {np.quantile(values, share):.3f}" for share in (0.5, 0.9, 0.95, 1.0))
        yield f"{name}: of who kept still {shares}; limit {movement.most:g}"
    for kind, amount in dict.fromkeys((session.kind, session.amount) for session in sessions):
        own = [session for session in sessions if (session.kind, session.amount) == (kind, amount)]
        sizes = sorted({session.photos for session in own})
        by_size = [[session.still for session in own if session.photos == size] for size in sizes]
        shares = ", ".join(f"{np.mean(which):.2f} of {size} photos" for size, which in zip(sizes, by_size, strict=True))
        yield f"{kind} {amount:g}: {sum(s.still for s in own)} of {len(own)} count as still ({shares})"


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m training.stillness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ict", type=Path, required=True, metavar="ict_facekit.npz")
    parser.add_argument("--people", type=int, default=40, help="rendered ones")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--photos", type=Path, metavar="DATA_DIR", help="with fasseg and fasseg_train")
    parser.add_argument("--out", type=Path, help="all sessions as JSON")
    given = parser.parse_args(arguments)
    tools = load_instruments(JobOptions())
    heads = (ict_head(str(given.ict)), own_head())
    found = list(rendered_sessions(heads, given.people, tools, given.seed))
    found += [] if given.photos is None else list(photo_sessions(given.photos, tools))
    for line in told(found):
        print(line, flush=True)
    if given.out is not None:
        given.out.write_text(json.dumps([asdict(session) for session in found], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
