"""Is a motion the same on another face? Closed eyes and lips, rest, and held-out expressions of rendered people.

    python -m benchmarks.rig                         one clip of 25 frames on five random people
    python -m benchmarks.rig --people 3              and the rig of rendered people: 7 expressions fitted, 1 held out

Gaps are upright ones between pairs of landmarks: of lids as they are, of inner lips against rest, most over all pairs
of the frames in which the source's are closed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

import facefit  # noqa: F401  before numpy: it sets its threads

import numpy as np  # isort: skip
import torch

from facefit.anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS
from facefit.fit.descent import fit_observed
from facefit.fit.instruments import Instruments
from facefit.fit.warm_start import WarmStart
from facefit.geometry.similarity import fit_similarity
from facefit.importers.photograph import Subject, photograph
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.faces import select_faces
from facefit.photo.photo import Photo
from facefit.rig.clip import Clip, clip_of_fits
from facefit.rig.personal import personal_shapes
from facefit.rig.retarget import retarget, rig_of
from facefit.scene.parameters import Parameters

TARGETS, SPREAD = 5, 1.2  # random people, and how far from the mean: 1 is as people are
CLOSED = 0.5  # mm
REST = {"browDownLeft": 0.1, "browDownRight": 0.1, "eyeSquintLeft": 0.1, "eyeSquintRight": 0.1, "mouthFrownLeft": 0.08,
        "mouthFrownRight": 0.08, "mouthClose": 0.02}  # fmt: skip
BLINK = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}


def _both(**values: float) -> dict[str, float]:
    return {f"{name}{side}": value for name, value in values.items() for side in ("Left", "Right")}


FRAMES: tuple[Mapping[str, float], ...] = (
    *[{}] * 6, BLINK, _both(eyeBlink=0.8, eyeSquint=0.8), _both(eyeBlink=0.95, cheekSquint=0.5),
    BLINK | {"jawOpen": 0.5}, BLINK | {"browInnerUp": 1.0}, {"eyeBlinkLeft": 1.0}, {"jawOpen": 0.5, "mouthClose": 0.5},
    {"jawOpen": 1.0, "mouthClose": 1.0}, _both(mouthSmile=0.4, mouthPress=0.7), {"mouthPucker": 0.5},
    {"mouthRollLower": 0.6, "mouthRollUpper": 0.3}, _both(mouthFrown=0.7), {"mouthLeft": 0.6},
    {"jawOpen": 0.1, "mouthShrugLower": 0.6, "mouthClose": 0.05} | _both(mouthPress=0.3),
    {"jawOpen": 0.15, "mouthClose": 0.15} | _both(mouthSmile=0.2), {"jawOpen": 0.3},
    {"jawOpen": 0.7, "mouthFunnel": 0.3},
    {"eyeBlinkLeft": 0.4, "eyeBlinkRight": 0.2}, _both(eyeWide=0.7),
)  # fmt: skip
EXPRESSIONS: tuple[Mapping[str, float], ...] = (
    {}, {"jawOpen": 0.5}, _both(mouthSmile=0.8, cheekSquint=0.4), {"mouthPucker": 0.8},
    _both(browDown=0.8, noseSneer=0.5),
    {"browInnerUp": 0.8} | _both(browOuterUp=0.7, eyeWide=0.5), _both(mouthFrown=0.7, mouthStretch=0.4),
    {"jawOpen": 0.3, "mouthFunnel": 0.6},
)  # fmt: skip


def weights(model: FaceModel, frames: tuple[Mapping[str, float], ...], rest: Mapping[str, float]) -> np.ndarray:
    """(F, E): the frames of somebody who shows `rest` when nothing moves."""
    out = np.zeros((len(frames), len(model.expression_names)))
    for row, frame in zip(out, frames, strict=True):
        for name, value in frame.items():
            row[model.expression_names.index(name)] = value
    still = np.zeros(out.shape[1])
    for name, value in rest.items():
        still[model.expression_names.index(name)] = value
    return 1 - (1 - out) * (1 - still)


def openings(model: FaceModel, verts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(F, V, 3) -> (F, 14) and (F, 9) mm of lids and inner lips."""
    points = model.landmarks(torch.from_numpy(verts).float()).double().numpy()[..., 1]
    return tuple(points[:, [a for a, _ in pairs]] - points[:, [b for _, b in pairs]]
                 for pairs in (LID_PAIRS, INNER_LIP_PAIRS))  # fmt: skip


def worst(model: FaceModel, source: np.ndarray, verts: np.ndarray) -> tuple[float, float]:
    """Most that lids and lips are open where the source's are closed, mm; the first frame is at rest."""
    lids, lips = openings(model, source)
    there, mouth = openings(model, verts)
    gaps = [there[:, eye][(lids[:, eye] <= CLOSED).all(1)].max() for eye in (slice(0, 7), slice(7, 14))]
    shut = (lips - lips[0] <= CLOSED).all(1)
    return max(gaps), float((mouth - mouth[0])[shut].max())


def clip_of(model: FaceModel, identity: torch.Tensor, rest: Mapping[str, float]) -> tuple[Clip, np.ndarray]:
    """The clip FRAMES of a person, and its vertices (F, V, 3)."""
    moved = weights(model, FRAMES, rest)
    zeros = Parameters.zeros(model.sizes, len(moved))
    value = replace(zeros, identity=identity.expand(len(moved), -1), expression=torch.from_numpy(moved).float())
    verts = model.shape(value.identity, value.expression).double().numpy()
    return clip_of_fits(model, value, np.arange(len(moved)) / 30), verts


def closing(model: FaceModel) -> None:
    """Print the table of gaps on TARGETS random people."""
    draw = torch.Generator().manual_seed(77)
    source = torch.randn(1, model.sizes["identity"], generator=draw)
    print(
        "| rest of the source | target | lids, mm | lips, mm | rest, mm | the same, weights copied: lids, lips, rest |"
    )
    print("|---|---|---|---|---|---|")
    for name, rest in (("none", {}), ("a little sullen", REST)):
        clip, shown = clip_of(model, source, rest)
        for target in range(TARGETS):
            identity = SPREAD * torch.randn(1, model.sizes["identity"], generator=draw)
            neutral = model.shape(identity, torch.zeros(1, model.sizes["expression"]))[0].double().numpy()
            rig = rig_of(model, neutral)
            verts = neutral + np.tensordot(retarget(clip, rig).weights, rig.targets, 1)
            copied = neutral + np.tensordot(clip.weights, model.expressions(identity[0]).double().numpy(), 1)
            still = [np.linalg.norm(v[:6] - neutral, axis=2).max() for v in (verts, copied)]
            ours, theirs = worst(model, shown, verts), worst(model, shown, copied)
            print(f"| {name} | {target + 1} | {ours[0]:.2f} | {ours[1]:.2f} | {still[0]:.2f} | "
                  f"{theirs[0]:.2f}, {theirs[1]:.2f}, {still[1]:.2f} |")  # fmt: skip


def held_out(model: FaceModel, people: int) -> None:
    """Print the errors of rigs of rendered people: neutral from seven expressions, the eighth only moved."""
    tools = load_instruments(JobOptions(preset="fast"))
    draw = torch.Generator().manual_seed(9)
    face = np.isin(model.vertex_label.numpy(), range(1, 9))
    seen, kept = [], []
    for person in range(people):
        identity = torch.randn(1, model.sizes["identity"], generator=draw)
        moved = torch.from_numpy(weights(model, EXPRESSIONS, {})).float()
        truth = model.shape(identity.expand(len(moved), -1), moved).double().numpy()
        photos = [_photo(model, verts) for verts in truth]
        first = [_fitted(tools, photo, None) for photo in photos]
        for out in range(len(photos)):
            known = [value for k, value in enumerate(first) if k != out]
            own = replace(first[out], identity=torch.cat([value.identity for value in known]).mean(0, keepdim=True),
                          albedo=torch.cat([value.albedo for value in known]).mean(0, keepdim=True))  # fmt: skip
            if out not in (2, 4, 7):  # three of eight are held out in turn
                continue
            neutral = model.shape(own.identity, 0 * own.expression)[0].double().numpy()
            shapes = personal_shapes(model, neutral)
            warm = WarmStart(own, fixed=("identity", "albedo"), landmarks=True, light=True)
            for k in range(len(photos)):
                value = _fitted(tools, photos[k], warm)
                verts = neutral + np.tensordot(value.expression[0].double().numpy(), shapes, 1)
                motion = fit_similarity(verts[face], truth[k][face], scale=True)
                error = np.linalg.norm(motion(verts[face]) - truth[k][face], axis=1).mean()
                (kept if k == out else seen).append(error)
            print(f"person {person + 1}, without expression {out + 1}: held out {kept[-1]:.2f} mm, seen "
                  f"{np.mean(seen[-7:]):.2f} mm")  # fmt: skip
    print(f"held out {np.mean(kept):.3f} mm, seen {np.mean(seen):.3f} mm, ratio {np.mean(kept) / np.mean(seen):.3f}")


def _photo(model: FaceModel, verts: np.ndarray) -> Photo:
    colours = model.albedo_mean.numpy().clip(0, 1)
    subject, light = Subject(verts + [0, -12, 0], colours), (0.3, 0.5, 1.0)
    picture = photograph(subject, model.faces.numpy(), 8.0, light=light, size=360, focal=3.0)
    return Photo.from_array(picture.image.astype(np.uint8))


def _fitted(tools: Instruments, photo: Photo, warm: WarmStart | None) -> Parameters:
    faces = select_faces(tools.detector.detect(photo.pixels), "largest")
    seen = tools.observe(photo, faces[0], 3.0 * photo.width)
    (result,) = fit_observed(seen, tools, photo=photo, warm=warm)
    return result.parameters


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rig", description=__doc__.partition("\n")[0])
    parser.add_argument("--people", type=int, default=0, help="rendered people whose expressions are held out")
    given = parser.parse_args()
    model = load_model()
    with torch.no_grad():
        closing(model)
    if given.people:
        held_out(model, given.people)


if __name__ == "__main__":
    main()
