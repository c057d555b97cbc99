"""Training of the dense network, and its errors on people and scans."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from torch import Tensor
from torch.nn import functional

from facefit.geometry.similarity import fit_similarity
from facefit.observe.dense import NARROW, REACH, WIDE
from facefit.observe.dense_surface import ACROSS_GUESS, ACROSS_MAPS, MAP_SIDE, SIDE, exposed, mirror_sign, sampled
from training.observation.network import WIDTHS, DenseNetwork
from training.observation.rendered import STORED
from training.observation.samples import Samples

logger = logging.getLogger(__name__)

MARGIN = (STORED - SIDE) // 2
KEPT = 250  # steps between two notes of the loss, and of the state


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of the optimiser. batch: people a step. rate: highest learning rate (one cycle, cosine).
        decay: of the weights. average: of the weights kept from step to step. mirror: whether half are mirrored.
        widths: of the network. fused: compile it, which saves a fourth of the time and
            needs a C++ compiler.
    """

    steps: int = 10000
    batch: int = 32
    rate: float = 3e-3
    decay: float = 1e-2
    average: float = 0.998
    mirror: bool = True
    widths: tuple[int, ...] = WIDTHS
    fused: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """What the network sees and what is true; maps 64 wide, pixels of crops 128 wide.

    Attributes:
        colours: (N, 3, 128, 128); guess: (N, 7, 64, 64); normals: (N, 3, 64, 64); seen: (N, 64, 64) 0 or 1.
        start, points: (N, P, 3); facing: (N, P) 0 or 1.
    """

    colours: Tensor
    guess: Tensor
    normals: Tensor
    seen: Tensor
    start: Tensor
    points: Tensor
    facing: Tensor

    def mirrored(self) -> Batch:
        """The same people seen in a mirror."""
        return Batch(
            self.colours.flip(-1), self.guess.flip(-1) * _sign(self.guess, ACROSS_GUESS),
            self.normals.flip(-1) * _sign(self.normals, (0,)), self.seen.flip(-1), _reflected(self.start),
            _reflected(self.points), self.facing,
        )  # fmt: skip


def _sign(maps: Tensor, across: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(mirror_sign(maps.shape[1], across)).to(maps.device)


def _reflected(points: Tensor) -> Tensor:
    return torch.cat([SIDE - points[..., :1], points[..., 1:]], -1)


def batch_of(
    samples: Samples, index: np.ndarray, generator: torch.Generator | None = None, mirror: bool = True,
    device: str = "cpu",
) -> Batch:  # fmt: skip
    """Some samples; with a generator (of the device) shifted, lit and mirrored at random, without it as they are."""

    def moved(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    left = top = MARGIN
    if generator is not None:  # by whole pixels of the maps
        left, top = (2 * torch.randint(0, MARGIN + 1, (2,), generator=generator, device=device)).tolist()
    across, down = slice(left // 2, left // 2 + MAP_SIDE), slice(top // 2, top // 2 + MAP_SIDE)
    image = moved(samples.image[index, top : top + SIDE, left : left + SIDE]).permute(0, 3, 1, 2).float() / 255
    guess = moved(samples.guess[index][:, :, down, across]).float() / 127
    normals = moved(samples.normals[index][:, down, across]).permute(0, 3, 1, 2).float() / 127
    seen = moved(samples.seen[index][:, down, across]).float()
    offset = torch.tensor([float(left), float(top), 0.0], device=device)
    start, points = (moved(value[index]) - offset for value in (samples.start, samples.points))
    if generator is not None:
        image = _lit(image, generator)
    colours = exposed(image, guess[:, 6])
    if generator is not None:
        deviation = 0.2 * torch.rand(len(index), 1, 1, 1, generator=generator, device=device)
        colours = colours + deviation * torch.randn(colours.shape, generator=generator, device=device)
    batch = Batch(colours, guess, normals, seen, start, points, moved(samples.facing[index]).float())
    if generator is not None and mirror and torch.rand((), generator=generator, device=device) < 0.5:
        return batch.mirrored()
    return batch


def _lit(image: Tensor, generator: torch.Generator) -> Tensor:
    """Other cameras: gamma, colours mixed, now and then grey."""
    count, device = len(image), image.device
    gamma = torch.exp(0.2 * torch.randn(count, 1, 1, 1, generator=generator, device=device))
    mix = torch.eye(3, device=device) + 0.06 * torch.randn(count, 3, 3, generator=generator, device=device)
    grey = (torch.rand(count, 1, 1, generator=generator, device=device) < 0.15).float()
    mix = mix * (1 - grey) + grey * torch.tensor([0.3, 0.59, 0.11], device=device).expand(count, 3, 3)
    return torch.einsum("nij,njhw->nihw", mix, image.clamp(0, 1) ** gamma)


def loss_of(out: Tensor, batch: Batch) -> Tensor:
    """Minus the log likelihood under Laplace's distribution: normals of visible skin, points that face the camera."""
    narrow = out[:, [3, 7, 8]].clamp(NARROW, WIDE)
    apart = (out[:, :3] - batch.normals).square().sum(1).add(1e-6).sqrt()
    of_normals = (apart * torch.exp(-narrow[:, 0]) + 2 * narrow[:, 0]) * batch.seen
    moved = sampled(torch.cat([out[:, 4:7], narrow[:, 1:]], 1), batch.start[..., :2], SIDE)
    left = (batch.points - batch.start) / REACH - moved[..., :3]
    across = left[..., :2].square().sum(-1).add(1e-6).sqrt()
    of_points = across * torch.exp(-moved[..., 3]) + 2 * moved[..., 3]
    of_points = of_points + left[..., 2].abs() * torch.exp(-moved[..., 4]) + moved[..., 4]
    total = (of_normals.sum() / batch.seen.sum().clamp_min(1)) + 0.5 * (
        (of_points * batch.facing).sum() / batch.facing.sum().clamp_min(1)
    )
    return total


def train(samples: Samples, schedule: Schedule, device: str = "cpu", saved: Path | None = None) -> DenseNetwork:
    """Train from random weights. Returns the averaged network on the CPU, in evaluation mode.

    Args:
        saved: a file in which the state is kept now and then, and from which an interrupted training goes on.
    """
    torch.manual_seed(schedule.seed)
    choice = torch.Generator().manual_seed(schedule.seed)
    generator = torch.Generator(device).manual_seed(schedule.seed)
    network = DenseNetwork(schedule.widths).to(device, memory_format=torch.channels_last)
    average = DenseNetwork(schedule.widths).to(device)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=schedule.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.rate, total_steps=schedule.steps, pct_start=0.1)
    first, start, running = 0, time.process_time(), math.nan
    states = {"network": network, "average": average, "optimiser": optimiser, "cycle": cycle}
    if saved is not None and saved.is_file():
        state = torch.load(saved, weights_only=True)
        for name, each in states.items():
            each.load_state_dict(state[name])
        choice.set_state(state["choice"])
        generator.set_state(state["generator"])
        first = state["step"]
    fused = torch.compile(network) if schedule.fused else network
    for step in range(first, schedule.steps):
        index = torch.randint(len(samples), (schedule.batch,), generator=choice).numpy()
        batch = batch_of(samples, index, generator, schedule.mirror, device)
        with torch.autocast(torch.device(device).type, torch.bfloat16):  # three times as fast where a CPU has it
            out = fused(batch.colours.contiguous(memory_format=torch.channels_last), batch.guess.contiguous())
        loss = loss_of(out, batch)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        cycle.step()
        keep = min(schedule.average, (1 + step) / (10 + step))
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - keep)
        if (step + 1) % KEPT == 0:
            running = float(loss.detach()) if math.isnan(running) else 0.8 * running + 0.2 * float(loss.detach())
            if saved is not None:
                state = {name: each.state_dict() for name, each in states.items()} | {"step": step + 1}
                state |= {"choice": choice.get_state(), "generator": generator.get_state()}
                torch.save(state, saved.with_suffix(".part"))
                saved.with_suffix(".part").replace(saved)
            spent = time.process_time() - start
            logger.info("step %d of %d, loss %.3f, %.0f CPU s", step + 1, schedule.steps, running, spent)
    return average.cpu().eval()


@dataclass(frozen=True)
class Errors:
    """Of each person, (N,).

    Attributes:
        normals, normals_median: degrees over visible skin within the landmarks' surface.
        points, points_median: mm from the truth after the best similarity; across: mm in the picture, as they are.
    """

    normals: np.ndarray
    normals_median: np.ndarray
    points: np.ndarray
    points_median: np.ndarray
    across: np.ndarray

    def means(self) -> dict[str, float]:
        return {name: round(float(value.mean()), 2) for name, value in self.__dict__.items()}


@torch.no_grad()
def look_twice(network: DenseNetwork, batch: Batch) -> Tensor:
    """(N, 9, 64, 64): the mean of a look at the pictures and one at their mirror images."""
    other = batch.mirrored()
    back = network(other.colours, other.guess).flip(-1)
    return (network(batch.colours, batch.guess) + back * _sign(back, ACROSS_MAPS)) / 2


@torch.no_grad()
def errors_of(network: DenseNetwork | None, samples: Samples, twice: bool = False) -> Errors:
    """Errors on each sample.

    Args:
        network: None: what the landmarks' own surface says.
        twice: the mean of a look at the picture and one at its mirror image.
    """
    rows = []
    for first in range(0, len(samples), 16):
        index = np.arange(first, min(first + 16, len(samples)))
        batch = batch_of(samples, index)
        if network is None:
            out = torch.cat([batch.guess[:, 3:6], torch.zeros(len(index), 6, MAP_SIDE, MAP_SIDE)], 1)
        else:
            out = look_twice(network, batch) if twice else network(batch.colours, batch.guess)
        cosine = (functional.normalize(out[:, :3], dim=1) * functional.normalize(batch.normals, dim=1)).sum(1)
        angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
        found = batch.start + REACH * sampled(out[:, 4:7], batch.start[..., :2], SIDE)
        for k, at in enumerate(index):
            seen = angle[k][(batch.seen[k] > 0) & (batch.guess[k, 6] > 0.9)]
            facing = batch.facing[k] > 0
            given, truth = (p[k][facing].double().numpy() * samples.millimetres[at] for p in (found, batch.points))
            left = np.linalg.norm(fit_similarity(given, truth, scale=True)(given) - truth, axis=1)
            across = np.linalg.norm((given - truth)[:, :2], axis=1).mean()
            rows.append((float(seen.mean()), float(seen.median()), left.mean(), np.median(left), across))
    return Errors(*np.array(rows).T)
