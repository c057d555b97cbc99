"""What the small U-Nets that are trained here are built of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two convolutions; the first may halve the side."""

    def __init__(self, given: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(x)))


class UNet(nn.Module):
    """The way down and up again; S a multiple of 2^(levels - 1).

    Source: Ronneberger et al. 2015.
    """

    def __init__(self, given: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        before = (given, *widths[:-1])
        self.down = nn.ModuleList(
            [Block(a, b, 1 if level == 0 else 2) for level, (a, b) in enumerate(zip(before, widths, strict=True))]
        )
        self.up = nn.ModuleList(
            [Block(fine + coarse, fine) for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)]
        )

    def features(self, x: Tensor) -> Tensor:
        """(N, given, S, S) -> (N, widths[0], S, S)."""
        seen = []
        for block in self.down:
            x = block(x)
            seen.append(x)
        for block, finer in zip(self.up, seen[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, finer], 1))
        return x
