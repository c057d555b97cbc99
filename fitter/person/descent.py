"""The full energy summed over the photos of one person, descended with Adam."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..compute.threads import only_kernels
from ..errors import FitError
from ..fit.adam import Adam, cosine_decay
from ..fit.config import FitConfig, Steps
from ..fit.objective import Objective
from ..geometry.camera import Camera, window_camera
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..observe.recognition import Recognition
from ..render import Renderer
from ..scene.parameters import Parameters
from ..vocabulary import GPU_BATCH
from .sharing import Sharing

ITERATIONS = 60  # the start is a fit already: more change the second decimal of no figure

LENS_STEP = 0.01  # of the logarithm of a focal length, an iteration

# Standard deviation of the logarithm of a focal length that nobody knows, about the default portrait lens: phones' and
# cameras' portraits lie within a factor of 1.7 to either side.
LENS_DEVIATION = 0.25

Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Together:
    """What was found.

    Attributes:
        parameters: of the B photos; what is shared is the same in all.
        camera: of the original photos, with the focal lengths that were found.
        energies: name -> (B,), weighted; of what is shared each photo counts its share.
    """

    parameters: Parameters
    camera: Camera
    energies: dict[str, Tensor]


@only_kernels()
def descend_together(
    observation: Observation,
    start: Parameters,
    model: FaceModel,
    renderer: Renderer,
    config: FitConfig,
    sharing: Sharing,
    free_lens: Tensor,
    report: Report | None = None,
    recognition: Recognition | None = None,
) -> Together:
    """Descend the sum of the photos' energies.

    It ends at the settings' number of iterations (ITERATIONS at most), without progress, or after their seconds for
    each photo. Photos go through the energy one after another on a CPU, a batch at a time on a GPU, so the memory that
    is used beside the observations does not grow with their number.

    Args:
        observation: of B photos, on the model's device. start: of them, what is shared being equal.
        free_lens: (B,) bool, whose focal lengths are to be found.
        report: called with the iteration, their number and the sum of each energy.
        recognition: what the energy "perceptual" asks, on the model's device.
    Raises:
        FitError: an energy is not a finite number.
    """
    problem = _Problem(observation, start, model, renderer, sharing.weighted(config, observation.batch), sharing,
                       free_lens, recognition)  # fmt: skip
    began, steps = time.perf_counter(), min(config.stage.iterations, ITERATIONS)
    best, best_total, record, waited = problem.values(), math.inf, math.inf, 0
    best_terms: dict[str, Tensor] = {}
    for iteration in range(steps + 1):
        terms = problem.evaluate(iteration)
        best_total, record = best_total + problem.jump, record + problem.jump  # see facefit.fit.objective.Objective
        total = float(sum(value.sum() for value in terms.values()))
        if not math.isfinite(total):
            wrong = [name for name, value in terms.items() if not torch.isfinite(value).all()]
            raise FitError(f"iteration {iteration}: the {' and '.join(wrong)} energy is not a finite number")
        if total < best_total:
            best, best_total, best_terms = problem.values(), total, terms
        if total < record - config.stage.tolerance * min(abs(record), 1e30):
            record, waited = total, 0
        else:
            waited += 1
        if report is not None:
            report(iteration, steps, {name: float(value.sum()) for name, value in terms.items()})
        late = time.perf_counter() - began > config.max_seconds * observation.batch
        if iteration == steps or waited >= config.stage.patience or late:
            break
        problem.step(cosine_decay(config.stage.final_step, iteration, steps))
    return Together(*problem.photos(best), best_terms)


class _Problem:
    """Iterates: shared values (1, S), own values (B, O), logarithms of the focal lengths relative to the start's."""

    def __init__(
        self, observation: Observation, start: Parameters, model: FaceModel, renderer: Renderer, config: FitConfig,
        sharing: Sharing, free_lens: Tensor, recognition: Recognition | None,
    ) -> None:  # fmt: skip
        self.observation, self.model, self.sharing = observation, model, sharing
        self.layout = {name: value.shape[1:] for name, value in start.tensors().items()}
        self.free, self.batch = free_lens.to(model.device).float()[:, None], start.batch
        chunk = 1 if model.device.type == "cpu" else GPU_BATCH
        self.places = [list(range(k, min(k + chunk, start.batch))) for k in range(0, start.batch, chunk)]
        self.energies = [Objective(observation[places], model, renderer, config, recognition) for places in self.places]
        tensors = start.tensors()
        shared = [tensors[name][:1].flatten(1) for name in self.layout if name in sharing.names]
        own = [tensors[name].flatten(1) for name in self.layout if name not in sharing.names]
        lens = torch.zeros(1 if sharing.one_lens else start.batch, 1, device=model.device)
        self.shared, self.own, self.lens = torch.cat(shared, 1).clone(), torch.cat(own, 1).clone(), lens
        self.slopes = [torch.zeros_like(value) for value in (self.shared, self.own, self.lens)]
        self.jump = 0.0  # of the sum, by new choices
        rates = self._rates(config.steps, True), self._rates(config.steps, False), lens.new_full((1,), LENS_STEP)
        self.descents = [
            Adam(value, rate) for value, rate in zip((self.shared, self.own, self.lens), rates, strict=True)
        ]

    def _rates(self, steps: Steps, shared: bool) -> Tensor:
        return torch.cat(
            [
                torch.full((shape.numel(),), getattr(steps, name), device=self.model.device)
                for name, shape in self.layout.items()
                if (name in self.sharing.names) == shared
            ]
        )

    def values(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.shared.clone(), self.own.clone(), self.lens.clone()

    def evaluate(self, iteration: int) -> dict[str, Tensor]:
        """name -> (B,) at the present iterate; the slopes are kept for `step`."""
        for slope in self.slopes:
            slope.zero_()
        found: list[dict[str, Tensor]] = []
        for places, energy in zip(self.places, self.energies, strict=True):
            values = self.shared.clone(), self.own[places], self._lens(self.lens)[places]
            shared, own, lens = (value.detach().requires_grad_(True) for value in values)
            parameters, camera = self._of(shared, own, lens, places)
            energy.camera = window_camera(camera, self.observation[places].window)
            terms = energy(parameters, iteration)
            terms["lens"] = (lens[:, 0] / LENS_DEVIATION) ** 2 * self._lens_share()
            total = torch.stack([value.sum() for value in terms.values()]).sum()
            slopes = torch.autograd.grad(total, (shared, own, lens))
            self.slopes[0] += slopes[0]
            self.slopes[1][places] = slopes[1]
            if self.sharing.one_lens:
                self.slopes[2] += (slopes[2] * self.free[places]).sum(0, keepdim=True)
            else:
                self.slopes[2][places] = slopes[2] * self.free[places]
            found.append({name: value.detach() for name, value in terms.items()})
        self.jump = sum(float(energy.jump.sum()) for energy in self.energies if energy.jump is not None)
        return {name: torch.cat([terms[name] for terms in found]) for name in found[0]}

    def _lens_share(self) -> float:
        """One lens has one prior, whatever the number of photos."""
        return self.sharing.prior_share(self.batch) if self.sharing.one_lens else 1.0

    def _lens(self, lens: Tensor) -> Tensor:
        return lens.expand(self.batch, 1) * self.free

    def step(self, scale: float) -> None:
        """Against the slopes of the last evaluation."""
        for descent, slope in zip(self.descents, self.slopes, strict=True):
            descent.step(slope, scale)
        if self.model.activation:
            common = "expression" in self.sharing.names
            self._named(self.shared if common else self.own, common)["expression"].clamp_(0, 1)

    def _of(self, shared: Tensor, own: Tensor, lens: Tensor, places: list[int]) -> tuple[Parameters, Camera]:
        """A longer lens from further away: the face keeps its size in the picture, its perspective changes."""
        count = len(places)
        tensors = {name: value.expand(count, *value.shape[1:]) for name, value in self._named(shared, True).items()}
        tensors |= self._named(own, False)
        factor = lens.exp()
        tensors["translation"] = tensors["translation"] * torch.cat([torch.ones_like(factor).expand(-1, 2), factor], 1)
        camera = self.observation.camera[places]
        return Parameters(**tensors), replace(camera, focal=camera.focal * factor)

    def _named(self, values: Tensor, shared: bool) -> dict[str, Tensor]:
        names = [name for name in self.layout if (name in self.sharing.names) == shared]
        parts = values.split([self.layout[name].numel() for name in names], 1)
        return {name: part.reshape(len(values), *self.layout[name]) for name, part in zip(names, parts, strict=True)}

    def photos(self, values: tuple[Tensor, Tensor, Tensor]) -> tuple[Parameters, Camera]:
        """All photos' parameters and cameras at an iterate."""
        shared, own, lens = values
        parameters, camera = self._of(shared, own, self._lens(lens), list(range(self.batch)))
        return Parameters(**{name: value.contiguous() for name, value in parameters.tensors().items()}), camera
