"""Wrinkles that come and go with the expression, told from the surface that a person always has.

    displacement in photo i = the person's + sum over groups k of a_ik * that of group k

a_ik is how far the photo's expression moves the skin by the shapes of group k, at each vertex; all parts are found by
one linear system (facefit.detail.shared_surface). Fits follow an expression by half, and paint that lies where they do
not expect it comes and goes with it, too: of a rendered smile without any fold that alone foretold 3 % of what
held-out photos leave over. So each group has an albedo of its own besides, which no light changes, and it is believed
in its folds only as far as they foretell the shading of held-out photos better than that albedo alone does. A group
is asked only where its activation differs among the photos.

Source: DECA (Feng et al. 2021) has a static part and one that the expression drives; Bai et al. 2021, eq. 6, have an
albedo that the expression drives. Here neither needs training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..model.face_model import FaceModel
from .held_out import fine
from .patch import Patch
from .samples import PatchSample
from .shared_surface import Driven, SharedSurface, SurfaceWeights, fit_light, shading, solve_surface, tilted, unsureness

# Shapes that fold the skin alike, by how their ARKit names begin.
GROUPS = {
    "forehead": ("browInnerUp", "browOuterUp"),
    "glabella": ("browDown",),
    "nose": ("noseSneer",),
    "smile": ("mouthSmile", "mouthDimple", "cheekSquint", "eyeSquint"),
    "chin": ("mouthShrugLower", "mouthFrown"),
}
_DEVIATION, _LENGTH = 0.25, 3.0  # mm: of folds in the photo that shows most of a group, and over which they vary
_DEEPEST = 1.0  # mm at activation 1, which may be far beyond what any photo shows
_PAINT = 0.1  # of a log albedo, likewise
_SPREAD = 5.0  # mm beside the skin that a group moves, in which it folds
_MOVED = 0.3  # of a group's largest motion: skin that moves so far folds as it may
_REGION = 0.25  # of that; skin which folds less belongs to no group
_DIFFERENT = 0.2  # activation by which photos differ from the least and the most of them
_SHOWING, _RESTING = 3, 2  # photos that have to be so far from the least, and from the most
_FOLDS = 4
_BELIEVED = 0.3  # amplitude
# Of what held-out photos leave over in the group's region: raised brows with lines 2.8 % on a rendered person, smiles
# with and without folds 1.2 and .6 %, too near to each other.
_GAIN = 0.02
_BETTER = 2 / 3  # of the photos that show it


@dataclass(frozen=True)
class Driver:
    """A group of shapes and P photos.

    Attributes:
        name: of GROUPS. shapes: names of its S expressions.
        rows: (D,) places in the patch that it may fold. share: (S, D) how far a shape at 1 does so there.
        activation: (P, D).
    """

    name: str
    shapes: tuple[str, ...]
    rows: np.ndarray
    share: np.ndarray
    activation: np.ndarray

    @property
    def strength(self) -> np.ndarray:
        """(P,) activation over the region."""
        return self.activation.sum(1) / self.share.sum()

    @property
    def showing(self) -> np.ndarray:
        """(P,) bool: photos that show more of it than the least."""
        return self.strength > self.strength.min() + _DIFFERENT

    @property
    def refusal(self) -> str:
        """Why the photos cannot tell of it; empty where they may."""
        showing, resting = int(self.showing.sum()), int((self.strength < self.strength.max() - _DIFFERENT).sum())
        if showing >= _SHOWING and resting >= _RESTING:
            return ""
        return (
            f"{showing} photos show it {_DIFFERENT:g} more than the least and {resting} less than the most; "
            f"{_SHOWING} and {_RESTING} are needed"
        )


@dataclass(frozen=True)
class GroupTest:
    """What was asked of a group, and answered.

    Attributes:
        strength: least and most activation among the photos.
        amplitude: by what its displacement is multiplied to explain held-out photos best. gain: how much less of their
            luminance is left over with it, a share. better: the share of the photos showing it that it makes better.
        why: it is not used; empty: it is.
    """

    strength: tuple[float, float]
    amplitude: float = 0.0
    gain: float = 0.0
    better: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Wrinkle:
    """A group's displacement.

    Attributes:
        shapes: names of its S expressions. vertices: (W,) of the mesh.
        height: (S, W) mm along the normals of the neutral head, of each expression at 1.
    """

    shapes: tuple[str, ...]
    vertices: np.ndarray
    height: np.ndarray


def drivers(patch: Patch, model: FaceModel, expressions: np.ndarray) -> list[Driver]:
    """The groups that a model has.

    Args:
        expressions: (P, E) of the photos. A model whose coefficients are no activations has no groups.
    """
    if not model.activation:
        return []
    names, moved = list(model.expression_names), model.expression_basis.double().norm(dim=2).numpy()[:, patch.vertices]
    out = []
    for name, begin in GROUPS.items():
        own = [k for k, shape in enumerate(names) if shape.startswith(begin)]
        near = np.maximum(patch.smoothed(moved[own].T, _SPREAD), 0) if own else np.zeros((patch.count, 0))
        whole = near.sum(1)
        if whole.max() <= 0:
            continue
        region = np.minimum(whole / (_MOVED * whole.max()), 1) * patch.fade
        rows = np.flatnonzero(region > _REGION)
        share = (near[rows] / whole[rows, None]).T * region[rows]
        out.append(Driver(name, tuple(names[k] for k in own), rows, share, expressions[:, own] @ share))
    return out


def told_apart(
    patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, weights: SurfaceWeights,
    groups: Sequence[Driver], diverse: bool = True,
) -> tuple[SharedSurface | None, tuple[Wrinkle, ...], dict[str, GroupTest]]:  # fmt: skip
    """The person's own surface and the wrinkles of those groups that pay.

    Args: as of `solve_surface`.
        groups: `drivers` of the photos. diverse: their lights differ; else none is asked, for paint does as well.
    Returns:
        the surface without them (None: no group pays, and it is that of `solve_surface`), they, and group -> test.
    """
    ends = {each.name: (float(each.strength.min()), float(each.strength.max())) for each in groups}
    alike = "" if diverse else "the lights of the photos are too alike to tell it from paint"
    tests = {each.name: GroupTest(ends[each.name], why=each.refusal or alike) for each in groups}
    asked = [each for each in groups if not tests[each.name].why]
    if asked:
        tests |= _tested(patch, samples, albedo, weights, asked)
    used = [each for each in asked if not tests[each.name].why]
    if not used:
        return None, (), tests
    found = solve_surface(patch, samples, albedo, weights, driven=driven(patch, used, range(len(samples))))
    wrinkles = []
    for each, height in zip(used, _parts(found, used), strict=True):
        height = np.clip(tests[each.name].amplitude * height, -_DEEPEST, _DEEPEST)
        wrinkles.append(Wrinkle(each.shapes, patch.vertices[each.rows], height * each.share))
    return found, tuple(wrinkles), tests


def driven(patch: Patch, groups: Sequence[Driver], photos: Sequence[int], folds: bool = True) -> Driven:
    """What groups add to the unknowns of `solve_surface` for some of the photos; without `folds` paint alone."""
    share = []
    for photo in photos:
        columns = [
            sparse.csr_matrix((each.activation[photo], (each.rows, np.arange(len(each.rows)))),
                              (patch.count, len(each.rows)))
            for each in groups
        ]  # fmt: skip
        share.append(sparse.hstack(columns).tocsr())
    most = [float(each.strength.max()) for each in groups]
    moved = [_DEVIATION / each for each in most] if folds else []
    return Driven(share, [each.rows for each in groups], moved, [_PAINT / each for each in most], _LENGTH)


def _parts(found: SharedSurface, groups: Sequence[Driver]) -> list[np.ndarray]:
    return np.split(found.driven, np.cumsum([len(each.rows) for each in groups])[:-1])


def _tested(
    patch: Patch, samples: Sequence[PatchSample], albedo: np.ndarray, weights: SurfaceWeights,
    groups: Sequence[Driver],
) -> dict[str, GroupTest]:  # fmt: skip
    """All groups found together from three quarters of the photos at a time, each held against the others where it
    folds: what groups of shape and paint explain, and what groups of paint alone do."""
    # those that show most, and those that show least, are not held out together
    order = np.argsort(sum(each.strength for each in groups), kind="stable")
    count, folds = len(samples), min(len(samples), _FOLDS)
    sums = np.zeros((3, len(groups), count))  # agreeing, strength, and what is left without
    for fold in range(folds):
        out = set(order[fold::folds].tolist())
        known = [k for k in range(count) if k not in out]
        shown = [samples[k] for k in known]
        one = solve_surface(patch, shown, albedo, weights, rounds=1, driven=driven(patch, groups, known, False))
        two = solve_surface(patch, shown, albedo, weights, rounds=1, driven=driven(patch, groups, known))
        sure = np.minimum(sum(sample.weight for sample in shown) / 2, 1)
        for photo in out:
            sample = samples[photo]
            counted = sample.weight * patch.skin * sure
            share = driven(patch, groups, [photo]).share[0]
            left, expected = _left(patch, sample, one.albedo + share @ one.driven_albedo, one.displacement, counted)
            moved = two.displacement + share @ two.driven
            less, _ = _left(patch, sample, two.albedo + share @ two.driven_albedo, moved, counted)
            unsure = unsureness(patch, expected, weights)
            counted = counted * patch.mass / unsure**2 / np.maximum(np.abs(left) / (2 * unsure), 1)
            for place, each in enumerate(groups):
                region = counted[each.rows] * each.share.sum(0)
                change = (left - less)[each.rows]
                sums[0, place, photo] = (region * change * left[each.rows]).sum()
                sums[1, place, photo] = (region * change**2).sum()
                sums[2, place, photo] = (region * left[each.rows] ** 2).sum()
    return {each.name: _judged(each, *sums[:, place]) for place, each in enumerate(groups)}


def _left(
    patch: Patch, sample: PatchSample, albedo: np.ndarray, moved: np.ndarray, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) what a surface leaves of a photo's log luminance, without what is broad, and what it expects."""
    light = fit_light(sample.luminance, sample.weight * patch.skin, albedo, tilted(patch, moved, sample.turn))
    expected = np.log(shading(patch, moved, sample.turn, light)[0]) + albedo
    return fine(patch, sample.luminance - expected, counted), expected


def _judged(group: Driver, agreeing: np.ndarray, strength: np.ndarray, left: np.ndarray) -> GroupTest:
    """Args: (P,) of the held-out photos."""
    amplitude = float(np.clip(agreeing.sum() / max(strength.sum(), 1e-12), 0, 1))
    less = 2 * amplitude * agreeing - amplitude**2 * strength
    gain, better = float(less.sum() / max(left.sum(), 1e-12)), float((less > 0)[group.showing].mean())
    ends = float(group.strength.min()), float(group.strength.max())
    why = ""
    if amplitude < _BELIEVED or gain < _GAIN or better < _BETTER:
        why = (
            f"it does not foretell held-out photos: amplitude {amplitude:.2f}, {gain:.1%} less left over, "
            f"{better:.0%} of those that show it better; {_BELIEVED:g}, {_GAIN:.0%} and {_BETTER:.0%} are needed"
        )
    return GroupTest(ends, amplitude, gain, better, why)
