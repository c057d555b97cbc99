"""The dense network: a U-Net from the crop and the landmarks' surface to normals and the points' displacement."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.blocks import UNet

WIDTHS = (48, 64, 96, 128)  # at 32, 16, 8 and 4 pixels
GUESS = 7  # channels of the landmarks' surface
GIVEN = 48 + 4 * GUESS  # at 32 pixels: the colours of 16 pixels and four of the surface
# What comes out: normal, its log deviation; displacement in the picture and towards the viewer, two log deviations.
OUT = 9


class DenseNetwork(UNet):
    """(N, 3, 128, 128) colours about 0 and (N, 7, 64, 64) landmarks' surface -> (N, 9, 64, 64), see OUT.

    Normals are what is added to those of the landmarks' surface.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__(GIVEN, widths)
        self.last = nn.Conv2d(widths[0], 4 * OUT, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, colours: Tensor, guess: Tensor) -> Tensor:
        x = torch.cat([functional.pixel_unshuffle(colours, 4), functional.pixel_unshuffle(guess, 2)], 1)
        out = functional.pixel_shuffle(self.last(self.features(x)).float(), 2)
        normal = functional.normalize(guess[:, 3:6].float() + out[:, :3], dim=1, eps=1e-3)
        return torch.cat([normal, out[:, 3:4], out[:, 4:7], out[:, 7:]], 1)
