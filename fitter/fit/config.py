"""Every tuning value once, with its unit, its default and the reason for it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace

from ..vocabulary import ASKED_FOR, ENERGIES


@dataclass(frozen=True)
class Weights:
    """Weights of the energy terms.

    The sum is twice a negative log posterior up to a constant, so a weight of a data term is a count of independent
    measurements over their variance, and priors have weight 1 unless said otherwise.

    Attributes:
        landmark: on the mean squared Mahalanobis distance of the landmarks (about 2 for a perfect fit). 478 landmarks
            of one network err together; the weight says how many of them count as independent.
        dense_points: on the mean squared distance of the dense points in deviations (docs/observation.md).
        dense_normals: on the mean squared angle between the surface and the dense normals in deviations.
        prdl: 1/pixel^2 of a 224 px window, on PRDL (sum over parts, mean over anchors).
        outline: 1/pixel^2 of a 224 px window, on the squared distance across the outline.
        photometric: on the mean RGB difference of visible skin pixels.
        perceptual: on 1 - cosine of what a recognition network makes of render and photo (docs/likeness.md).
        closure: on the squared lid and lip openings' errors, in parts of the eye distance.
        expected: on the identity's squared distance from what is to be expected of it after the dense points and
            normals, where these were seen (facefit.fit.identity_guess); takes the place of `identity`.
        identity, expression, albedo, gaze, joints: on the priors. sparsity: on the sum of activations. The identity's
            is above 1 because the data terms are surer than right: landmarks and outlines err together, the same way
            for everybody (docs/likeness.md).
        symmetry: on the mean absolute difference of mirrored albedos.

    How the defaults were chosen, on development photos, by median scan error (mm, similarity, two scans, 16 renders)
    and Part IoU (20 frontal and 17 turned photos with hand labels); the model's mean face has 1.14 mm:

    * landmark stage alone: 1.106 at weight 30, 1.095 at 120, 1.085 at 300; expression prior 1 and 4: 1.095 and 1.089;
    * added to landmarks at 200: photometric 300 gives 1.068, 1500 gives 1.050; PRDL 1 gives 1.077;
    * PRDL 2 and 5 on top of photometric 1500: 1.065 and 1.093, but .796 / .739 and .795 / .745 of Part IoU: more PRDL
      moves turned parts a little better and shape worse;
    * all three up together against the priors, from (200, 2, 1500) to (400, 3, 2500): 1.065 to 1.050 mm, and with
      absolute size 1.271 to 1.237;
    * PRDL with linear tails (prdl_huber) at 6 and 12 against squares at 3: 1.022 and 1.037 against 1.020 mm, and .784
      and .790 against .779 of Part IoU (24 photos);
    * dense points and normals 400 and 60, 100 and 60, 100 and 120: 1.12, 1.17 and 1.14 mm on 60 rendered people (1.22
      without), AUC of photos of 27 people .93, .95 and .95 (docs/observation.md);
    * expected 8, with landmarks at 500, and 25, at 600: .862 and .862 in place of .888 mm on the scans, 1.99 and 2.02
      in place of 2.00 % of landmark error on 17 photos, .771 and .769 in place of .773 of Part IoU on 69; in the
      landmark stage alone 10, 30 and 100: AUC .957, .957, .951, .943 without (docs/observation.md);
    * outline 40, with points above the neck counting as much as others, and 80, 120, 240 with a tenth of it: 1.104,
      1.093, 1.086, 1.067 mm on 60 rendered people, .864, .871, .869, .869 mm on the scans, 2.00, 2.01, 2.02, 2.04 % of
      landmark error on 17 photos (docs/likeness.md);
    * perceptual 0, 150, 600, with dlib's network: 1.059, 1.045, 1.029 mm on 12 rendered people, .898, .890, .909 mm on
      8 renders of the scans, AUC of photos of 14 people .967, .973, .975.
    """

    landmark: float = 400.0
    dense_points: float = 100.0
    dense_normals: float = 120.0
    prdl: float = 6.0
    outline: float = 120.0
    photometric: float = 2500.0
    perceptual: float = 150.0
    closure: float = 2000.0
    identity: float = 3.0
    expected: float = 8.0
    expression: float = 3.0
    sparsity: float = 0.3
    albedo: float = 1.0
    gaze: float = 0.3
    joints: float = 1.0
    symmetry: float = 50.0

    def of_landmarks(self, expected: bool) -> float:
        """The landmarks' weight: more beside an identity that is expected, which holds the face against them, so that
        they lie no worse than without (2.00 % of the eye distance on 17 photos; docs/observation.md)."""
        return self.landmark * (1.85 if expected else 1.0)


@dataclass(frozen=True)
class Steps:
    """Adam's step per iteration, in each parameter's own unit."""

    identity: float = 0.03
    expression: float = 0.02
    albedo: float = 0.05
    rotvec: float = 0.002
    translation: float = 0.4
    sh: float = 0.01
    gaze: float = 0.01
    joints: float = 0.005


@dataclass(frozen=True)
class Stage:
    """One run of the optimiser.

    Attributes:
        iterations: at most so many.
        refresh: iterations between two choices of what is discrete: visible points, contour, calibration bin.
        patience: iterations without progress after which the stage has converged. With 15 and a tolerance of 1e-3 a fit
            of 60 iterations takes 70, and its best one is the same.
        tolerance: progress is a fall of the total by more than this part of it.
        final_step: the step at the end as a part of the step at the start (cosine decay).
    """

    iterations: int = 80
    refresh: int = 8
    patience: int = 12
    tolerance: float = 2e-3
    final_step: float = 0.1


@dataclass(frozen=True)
class FitConfig:
    """How a photo is fitted.

    Attributes:
        preset: name of the preset this came from.
        window: side of the fitted window in pixels (224: the papers').
        energies: data terms that count, of ENERGIES. The perceptual one is not among the default ones: it needs a
            recognition network of the user's own.
        weights, steps, stage: see there.
        landmark_iterations: Gauss-Newton iterations of the landmark stage at most; more change nothing in the third
            decimal of the scan error.
        activation_scale: activation that counts as one standard deviation.
        landmark_floor: window pixels added (in square) to the calibrated landmark deviations: photos have blur and
            noise that the calibration renders do not.
        robust: threshold in standard deviations beyond which a landmark, a dense point or normal counts less (Huber).
        calibrated: use the model file's bias and covariance of the detector; False: all landmarks alike.
        part_weights: of PRDL's parts in the order of anatomy.parts.PARTS. Brows are hair, as thick and as high as
            their owner likes: at full weight they cost .06 mm of scan error (1.08 against 1.01), at none they would not
            rise with an expression. Eyes are small, and landmarks of lids are poor on eyes that close: six times in
            place of three raises the overlap of hand-labelled eyes from .725 to .742 (with landmarks at 1.85 in place
            of 1.6 where an identity is expected, so that they lie no worse); it costs scans nothing and rendered
            people .02 mm (docs/likeness.md).
        statistics: of PRDL.
        prdl_huber: pixels of a 224 px window beyond which a difference of PRDL's distances counts linearly; inf for
            squares, as the paper has it.
        outline_huber: pixels of a 224 px window beyond which a distance to the outline counts linearly.
        max_seconds: budget of the optimisation; inf for none.
    """

    preset: str = "default"
    window: int = 224
    energies: tuple[str, ...] = tuple(name for name in ENERGIES if name not in ASKED_FOR)
    weights: Weights = field(default_factory=Weights)
    steps: Steps = field(default_factory=Steps)
    stage: Stage = field(default_factory=Stage)
    landmark_iterations: int = 4
    activation_scale: float = 0.35
    landmark_floor: float = 0.7
    robust: float = 3.0
    calibrated: bool = True
    part_weights: tuple[float, ...] = (6.0, 6.0, 0.2, 0.2, 1.0, 1.0, 1.0, 0.3)
    statistics: tuple[str, ...] = ("min", "max", "mean")
    prdl_huber: float = 1.0
    outline_huber: float = 3.0
    max_seconds: float = math.inf

    def __post_init__(self) -> None:
        unknown = [name for name in self.energies if name not in ENERGIES]
        if unknown or not self.energies:
            given = ", ".join(self.energies) or "(none)"
            raise ValueError(f"energies {given}; accepted: some of {', '.join(ENERGIES)}")
        if self.stage.iterations < 0:
            raise ValueError(f"iterations is {self.stage.iterations}; accepted: 0 or more")
        if not self.prdl_huber > 0:
            raise ValueError(f"prdl_huber is {self.prdl_huber}; accepted: more than 0 pixels")
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds is {self.max_seconds}; accepted: more than 0 seconds")

    def as_dict(self) -> dict:
        """JSON types; an infinite budget or threshold becomes None."""
        out = asdict(self)
        for name in ("max_seconds", "prdl_huber"):
            if math.isinf(out[name]):
                out[name] = None
        return out


# The paper's balance (Wang et al. 2024, sec. 3.4): PRDL and landmark losses divided by H W, so 0.8e-3 : 1.6e-3 : 1.9
# and 3e-4 on the regularisation become, relative to a regularisation of weight 1, the numbers below. Its landmarks are
# not calibrated, its statistics are all three. The perceptual term (0.2) needs a recognition network and counts where
# one is given.
_PAPER = FitConfig(
    preset="paper",
    energies=("landmark", "prdl", "photometric"),
    weights=Weights(
        landmark=1.6e-3 / 3e-4, prdl=0.8e-3 / 3e-4, photometric=1.9 / 3e-4, perceptual=0.2 / 3e-4, closure=0.0,
        identity=1.0, expression=0.8, sparsity=0.0, albedo=1.7e-2, gaze=1.0, symmetry=0.0,
    ),
    calibrated=False,
    part_weights=(1.0,) * 8,
    prdl_huber=math.inf,
    stage=Stage(iterations=150),
)  # fmt: skip

PRESETS = {
    "default": FitConfig(),
    "fast": FitConfig(preset="fast", stage=Stage(iterations=30, patience=8)),
    "paper": _PAPER,
}


def preset(name: str = "default") -> FitConfig:
    """The settings of that name. Raises ValueError naming the accepted ones."""
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}; accepted: {', '.join(PRESETS)}")
    return PRESETS[name]


def override(
    config: FitConfig,
    *,
    energies: tuple[str, ...] | None = None,
    iterations: int | None = None,
    max_seconds: float | None = None,
) -> FitConfig:
    """`config` with the given values; None leaves a value as it is. Raises ValueError for values out of range."""
    changes: dict = {}
    if energies is not None:
        changes["energies"] = tuple(energies)
    if iterations is not None:
        changes["stage"] = replace(config.stage, iterations=iterations)
    if max_seconds is not None:
        changes["max_seconds"] = max_seconds
    return replace(config, **changes)
