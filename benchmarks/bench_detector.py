"""The landmark detector on all photos of the evaluation sets: its time, and whether it answers as another one did.

    python -m benchmarks.bench_detector DATA_DIR --write answers.npz       keep the answers of this checkout's detector
    python -m benchmarks.bench_detector DATA_DIR --against answers.npz     compare them with answers that were kept

Answers kept by another checkout (its detector before a change, on the same machine in the same hour) show what the
change does: the number of faces, how far landmarks moved in % of the distance of the outer corners of the eyes (as the
kept answers have it), and CPU time. Photos whose name says that the head is turned by more than 45 degrees stand
apart: there the networks guess, and one grey level of noise moves landmarks by more than 10 %.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before numpy: it sets its threads

import numpy as np  # isort: skip

from facefit.anatomy.landmarks import OUTER_EYE_CORNERS
from facefit.observe.detector import load_detector
from facefit.photo.photo import read_photo

SETS = ("fasseg", "fasseg_train", "ict_synthetic", "synthetic", "wild")
PICTURES = (".png", ".jpg", ".jpeg")
NOT_PHOTOS = ("_label", "_parts", "_mask")
YAW = re.compile(r"_([+-]\d+)$")  # FASSEG's names end with the degrees
TURNED = 45  # degrees
WARM_UP = 3  # photos that are seen first, so that no kernel is loaded while the clock runs


@dataclass(frozen=True)
class Answers:
    """What a detector said.

    Attributes:
        names: (P,) of the photos, with their set. counts: (P,) faces. cpu: (P,) seconds.
        landmarks: (F, 478, 2) of the faces of all photos in order. depth: (F, 478). score: (F,).
    """

    names: np.ndarray
    counts: np.ndarray
    cpu: np.ndarray
    landmarks: np.ndarray
    depth: np.ndarray
    score: np.ndarray


def photos(folder: Path) -> list[Path]:
    """The photos of all sets, without label pictures and masks."""
    return [
        path
        for name in SETS
        for path in sorted((folder / name).iterdir())
        if path.suffix.lower() in PICTURES and not path.stem.endswith(NOT_PHOTOS)
    ]


def detect(folder: Path) -> Answers:
    """The answers of this checkout's detector."""
    detector, paths = load_detector(), photos(folder)
    for path in paths[:WARM_UP]:
        detector.detect(read_photo(path).pixels)
    counts, cpu, faces = [], [], []
    for path in paths:
        pixels = read_photo(path).pixels
        began = time.process_time()
        found = detector.detect(pixels)
        cpu.append(time.process_time() - began)
        counts.append(len(found))
        faces += found
    return Answers(
        np.array([path.relative_to(folder).as_posix() for path in paths]),
        np.array(counts),
        np.array(cpu),
        np.stack([face.landmarks for face in faces]),
        np.stack([face.depth for face in faces]),
        np.array([face.score for face in faces]),
    )


def turned(name: str) -> bool:
    """Whether the photo's name says that the head is turned by more than 45 degrees."""
    yaw = YAW.search(Path(name).stem)
    return yaw is not None and abs(int(yaw.group(1))) > TURNED


def compare(ours: Answers, theirs: Answers) -> list[str]:
    """Lines of a table: a line a set and one for all, heads turned by more than 45 degrees apart."""
    if not np.array_equal(ours.names, theirs.names):
        raise ValueError("the answers are of other photos")
    lines = [f"{'photos':32s} {'faces':>11s} {'mean %':>8s} {'worst %':>8s} {'depth %':>8s} {'score':>7s}"]
    our_start, their_start = np.cumsum(ours.counts) - ours.counts, np.cumsum(theirs.counts) - theirs.counts
    groups: dict[str, list[int]] = {}
    for photo, name in enumerate(ours.names):
        angle = "beyond 45 degrees" if turned(name) else "up to 45 degrees"
        for group in (f"{Path(name).parts[0]}, {angle}", f"all, {angle}"):
            groups.setdefault(group, []).append(photo)
    for group, members in sorted(groups.items()):
        moved, deep, score = [], [], []
        for photo in members:
            if ours.counts[photo] != theirs.counts[photo]:
                lines.append(f"  {ours.names[photo]}: {ours.counts[photo]} faces, {theirs.counts[photo]} before")
                continue
            for number in range(ours.counts[photo]):
                a, b = our_start[photo] + number, their_start[photo] + number
                right, left = theirs.landmarks[b, list(OUTER_EYE_CORNERS)]
                unit = np.linalg.norm(left - right) / 100
                moved.append(np.linalg.norm(ours.landmarks[a] - theirs.landmarks[b], axis=1) / unit)
                deep.append(np.abs(ours.depth[a] - theirs.depth[b]).max() / unit)
                score.append(abs(ours.score[a] - theirs.score[b]))
        faces = f"{ours.counts[members].sum()} of {theirs.counts[members].sum()}"
        figures = f"{np.mean(moved):8.4f} {np.max(moved):8.3f} {np.max(deep):8.3f} {np.max(score):7.4f}"
        lines.append(f"{group:32s} {faces:>11s} {figures}")
    return lines


def seconds(answers: Answers) -> str:
    """CPU time of one photo."""
    return f"{1e3 * answers.cpu.mean():.1f} ms mean, {1e3 * np.median(answers.cpu):.1f} ms median"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_detector", description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder with " + ", ".join(SETS))
    parser.add_argument("--write", type=Path, help="keep the answers in this file")
    parser.add_argument("--against", type=Path, help="compare with the answers in this file")
    options = parser.parse_args()
    ours = detect(options.data)
    print(f"{len(ours.names)} photos, {ours.counts.sum()} faces; CPU time of detect(): {seconds(ours)}")
    if options.write:
        np.savez_compressed(options.write, **vars(ours))
    if options.against:
        with np.load(options.against) as kept:
            theirs = Answers(**{name: kept[name] for name in vars(ours)})
        print(f"kept: CPU time {seconds(theirs)}")
        print("\n".join(compare(ours, theirs)))


if __name__ == "__main__":
    main()
