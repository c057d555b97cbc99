"""Signals and kills at random moments, and two writers of one output: what is left is whole, and of one result."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import facefit.job.job
from facefit.errors import FaceFitError
from facefit.importers.installed import install
from facefit.model.catalogue import FOLDER_VARIABLE
from facefit.model.model_file import load_model

from .forked import Ended, Forked, command, run, run_together, slowly
from .kit import Kit
from .sets import mixed, names_of, whose
from .toys import toy_arrays
from .watch import LARGEST, Outcome, digests, names, wrong_words

TERMINATED = 128 + signal.SIGTERM  # exit code
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)


def fits(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """A fit over the results of another photo, stopped or killed."""

    def writes(target: Path) -> Callable[[], None]:
        return command("fit", kit / "b.png", "-o", target, *kit.options, "-q")

    return _stopped(dice, kit, folder, writes, ("a", "b"))


def conversions(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """A conversion over another one's results, stopped or killed."""

    def writes(target: Path) -> Callable[[], None]:
        return command("convert", kit / "b/m.json", "--to", kit / "other.npz", "--model", kit / "toy.npz", "-o", target,
                       "--texture-size", "16", "-q")  # fmt: skip

    return _stopped(dice, kit, folder, writes, ("to_a", "to_b"))


def _stopped(
    dice: random.Random, kit: Kit, folder: Path, writes: Callable[[Path], Callable[[], None]], known: tuple[str, str]
) -> Outcome:
    """Over a set of the first result the second one is written, and that is cut off; then another set beside it."""
    (out,) = kit.lay(folder, known[0])
    number = dice.choice(SIGNALS)
    inputs = digests(kit.folder)
    ended = cut_off(dice, writes(out / "m.obj"), folder / "said", out, number)
    wrong = cut_words(ended, number)
    found = whose(kit, out, "m", known)
    if number == signal.SIGKILL and ended.code != 0:
        wrong += [f"{name} is {state}" for name, state in found.items() if state in ("torn", "missing")]
    else:
        wrong += mixed(found) + [f"left {name}" for name in names(out) - names_of("m")]
    after = run(writes(out / "n.obj"), folder / "said after")
    wrong += [f"the next one: {text}" for text in wrong_words(after.code, after.stderr, frozenset({0}))]
    wrong += mixed(whose(kit, out, "m", known)) + mixed(whose(kit, out, "n", known))
    wrong += [f"left {name}" for name in names(out) - names_of("m", "n")]
    return outcome(wrong + ([] if digests(kit.folder) == inputs else ["an input was changed"]), ended, after)


def cut_off(dice: random.Random, work: Callable[[], object], said: Path, out: Path, number: int) -> Ended:
    """Run it and send it a signal: at any moment, or (mostly) once something hidden appears in `out`, for it writes."""
    process = Forked(slowly(work) if dice.random() < 0.7 else work, said)
    if dice.random() < 0.25:
        time.sleep(dice.uniform(0, 0.3))
    else:
        while process.running() and not any(name.startswith(".") for name in os.listdir(out)):
            pass
        time.sleep(dice.choice((0, dice.uniform(0, 0.02), dice.uniform(0, 0.06))))
    process.send(number)
    return process.end()


def cut_words(ended: Ended, number: int) -> list[str]:
    """What is wrong with how a command ended that got that signal."""
    if ended.code is None:
        return ["hangs"]
    if (ended.code, number) == (-signal.SIGKILL, signal.SIGKILL):
        return []
    if (ended.code, number) == (TERMINATED, signal.SIGTERM) and not ended.stderr:
        return []
    if ended.code == -number and not ended.stderr:  # before the command had set its handlers
        return []
    return wrong_words(ended.code, ended.stderr, frozenset({0, 130}))


def outcome(wrong: list[str], *ended: Ended) -> Outcome:
    """Of processes, the first of which counts."""
    most = max(each.bytes for each in ended)
    wrong = wrong + ([f"{most / 1e9:.2f} GB of memory"] if most > LARGEST else [])
    return Outcome(tuple(wrong), ended[0].code, most)


def writers(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """Two fits of different photos into one output at the same moment."""
    out = folder / "out"
    out.mkdir()
    works = [command("fit", kit / f"{name}.png", "-o", out / "m.obj", *kit.options, "-q") for name in "ab"]
    works = [meeting(work, folder / me, folder / other) for work, me, other in zip(works, "ab", "ba", strict=True)]
    ended = run_together([slowly(work) for work in works] if dice.random() < 0.7 else works, folder)
    wrong = [text for each in ended for text in wrong_words(each.code, each.stderr, frozenset({0}))]
    wrong += mixed(whose(kit, out, "m", ("a", "b"))) + [f"left {name}" for name in names(out) - names_of("m")]
    return outcome(wrong, *ended)


def meeting(work: Callable[[], object], me: Path, other: Path) -> Callable[[], None]:
    """The same, but before it writes it waits for the other one, which does so, too. me, other: files that say so."""

    def work_that_waits() -> None:
        real = facefit.job.job.write_files

        def write(*arguments: Any) -> Any:
            me.touch()
            end = time.monotonic() + 20
            while not other.exists() and time.monotonic() < end:
                time.sleep(0)
            return real(*arguments)

        facefit.job.job.write_files = write
        work()

    return work_that_waits


def installs(dice: random.Random, kit: Kit, folder: Path) -> Outcome:
    """A model that is installed over another version of it, killed: model and picture are of one version."""
    models = folder / "models"
    os.environ[FOLDER_VARIABLE] = str(models)
    install("mine", toy_arrays(9, 9))
    old = digests(models)
    ended = cut_off(dice, lambda: install("mine", toy_arrays(11, 11)), folder / "said", models, signal.SIGKILL)
    wrong = [] if ended.code in (0, -signal.SIGKILL) else [f"ended with {ended.code}: {ended.stderr[-300:]}"]
    try:
        load_model("mine")
    except FaceFitError as error:
        wrong.append(f"the model is torn: {error}")
    install("other", toy_arrays(9, 9))
    now = digests(models)
    changed = {Path(name).suffix for name in old if now.get(name) != old[name]}
    wrong += [] if changed in (set(), {".npz", ".png"}) else [f"only {sorted(changed)} is new"]
    expected = {f"{name}.{end}" for name in ("mine", "other") for end in ("npz", "png")}
    return outcome(wrong + [f"left {name}" for name in names(models) - expected], ended)
