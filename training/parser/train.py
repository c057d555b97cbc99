"""Training of the parser's networks on stored windows, and what it scores on windows of people left out."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from facefit.observe.segment.face_crops import CLASSES
from training.parser.augment import Augmentation, example
from training.parser.network import Parser
from training.parser.samples import IGNORE, Samples

logger = logging.getLogger(__name__)

# Small parts are few pixels; without this the networks learn the borders of the large ones first.
SMALL = ("right_eye", "left_eye", "right_brow", "left_brow", "upper_lip", "lower_lip", "mouth_inside", "glasses")
SMALL_WEIGHT = 2.0
# What the overlap's loss looks at: these, and the large parts whose borders are judged by their overlap too.
OVERLAP = (*SMALL, "nose", "hair", "skin")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: of the optimiser. batch: windows a step. rate: highest learning rate (one cycle, cosine).
        decay: of the weights. dice: weight of the overlap's loss. average: of the weights kept from step to step.
        rendered: share of rendered windows in a batch.
    """

    steps: int = 900
    batch: int = 16
    rate: float = 3e-3
    decay: float = 1e-3
    dice: float = 0.8
    average: float = 0.995
    rendered: float = 0.4
    seed: int = 0


class _Draws(Dataset):
    """Example k of a training run: the same for the same seed, whoever makes it."""

    def __init__(self, samples: Samples, schedule: Schedule, how: Augmentation) -> None:
        self.samples, self.schedule, self.how = samples, schedule, how
        rendered = samples.sources == "rendered"
        self.pools = [np.nonzero(~rendered)[0], np.nonzero(rendered)[0]]

    def __len__(self) -> int:
        return self.schedule.steps * self.schedule.batch

    def __getitem__(self, number: int):
        rng = np.random.default_rng([self.schedule.seed, number])
        pool = self.pools[int(rng.random() < self.schedule.rendered)]
        if not len(pool):
            pool = np.arange(len(self.samples))
        at = int(rng.choice(pool))
        s = self.samples
        return example(s.images[at], s.labels[at], s.landmarks[at], rng, self.how, s.sources[at] == "rendered")


def part_loss(score: Tensor, truth: Tensor, dice: float) -> Tensor:
    """Cross entropy, small parts twice, and 1 - soft Dice of OVERLAP.

    Args:
        score: (N, C, S, S); truth: (N, S, S) places in CLASSES or IGNORE.
    """
    weight = score.new_tensor([SMALL_WEIGHT if name in SMALL else 1.0 for name in CLASSES])
    entropy = functional.cross_entropy(score, truth, weight, ignore_index=IGNORE)
    known = (truth != IGNORE)[:, None]
    parts = torch.tensor([CLASSES.index(name) for name in OVERLAP])
    given = score.softmax(1)[:, parts] * known
    there = (truth[:, None] == parts[None, :, None, None]).to(given.dtype)
    overlap = (given * there).sum((0, 2, 3))
    total = given.sum((0, 2, 3)) + there.sum((0, 2, 3))
    seen = there.sum((0, 2, 3)) > 0
    return entropy + dice * ((1 - (2 * overlap + 1) / (total + 1)) * seen).sum() / seen.sum().clamp(min=1)


def train(
    samples: Samples, schedule: Schedule, how: Augmentation, start: Parser | None = None, workers: int = 1
) -> Parser:
    """Train on `samples`, from `start` or from random weights. Returns the averaged networks, in evaluation mode."""
    torch.manual_seed(schedule.seed)
    network = Parser()
    if start is not None:
        network.load_state_dict(start.state_dict())
    network = network.to(memory_format=torch.channels_last).train()
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(schedule.average), use_buffers=True
    )
    optimizer = torch.optim.AdamW(network.parameters(), schedule.rate, weight_decay=schedule.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, schedule.rate, total_steps=schedule.steps, pct_start=0.15)
    loader = DataLoader(
        _Draws(samples, schedule, how), schedule.batch, num_workers=workers, prefetch_factor=3 if workers else None,
    )  # fmt: skip
    began, running = time.monotonic(), 0.0
    for step, (face, face_truth, detail, detail_truth) in enumerate(loader):
        with torch.autocast("cpu", torch.bfloat16):
            seen = network.face(face.contiguous(memory_format=torch.channels_last))
            fine = network.detail(detail.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        loss = part_loss(seen.float(), face_truth.long(), schedule.dice) + part_loss(
            fine.float(), detail_truth.flatten(0, 1).long(), schedule.dice
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
        average.update_parameters(network)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        if (step + 1) % 50 == 0:
            logger.info("step %d of %d: loss %.3f, %.0f s", step + 1, schedule.steps, running, time.monotonic() - began)
    unweight(average.module)
    return average.module.eval()


@torch.no_grad()
def unweight(parser: Parser) -> None:
    """Take the loss's weights out of the scores: with them small parts come out a fifth too large.

    A cross entropy with class weights w is least at probabilities proportional to w p.
    """
    small = [CLASSES.index(name) for name in SMALL]
    for network in (parser.face, parser.detail):
        network.score.bias[small] -= math.log(SMALL_WEIGHT)


def torch_networks(parser: Parser):
    """The networks as facefit.observe.segment.face_parser wants them, without an ONNX file."""

    @torch.no_grad()
    def run(face: np.ndarray, detail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen, fine = parser(torch.from_numpy(face), torch.from_numpy(detail))
        return seen.numpy(), fine.numpy()

    return run
