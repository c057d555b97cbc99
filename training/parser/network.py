"""The parser's networks: two small U-Nets, one for the whole face, one for eyes and mouth; and how they are joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from facefit.observe.segment.face_crops import CHANNELS, CLASSES
from training.blocks import Block

FACE_WIDTHS = (16, 32, 48, 64, 96)
DETAIL_WIDTHS = (16, 32, 48, 64)


class UNet(nn.Module):
    """(N, 12, S, S) crops -> (N, C, S, S) scores; S a multiple of 2^(levels - 1). Source: Ronneberger et al. 2015."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        given = (CHANNELS, *widths[:-1])
        self.down = nn.ModuleList(
            [Block(a, b, 1 if level == 0 else 2) for level, (a, b) in enumerate(zip(given, widths, strict=True))]
        )
        self.up = nn.ModuleList(
            [Block(fine + coarse, fine) for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)]
        )
        self.score = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        for block in self.down:
            x = block(x)
            seen.append(x)
        for block, finer in zip(self.up, seen[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([x, finer], 1))
        return self.score(x)


class Parser(nn.Module):
    """Both networks. The detail network sees right eyes, mirrored left eyes and mouths alike, and tells them apart by
    the landmarks' channels."""

    def __init__(self) -> None:
        super().__init__()
        self.face = UNet(FACE_WIDTHS)
        self.detail = UNet(DETAIL_WIDTHS)

    def forward(self, face: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 12, 128, 128), (3 N, 12, 96, 96) -> class probabilities of the same layout."""
        return self.face(face).softmax(1), self.detail(detail).softmax(1)
