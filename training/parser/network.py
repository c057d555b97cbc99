"""The parser's networks: two small U-Nets, one for the whole face, one for eyes and mouth; and how they are joined."""

from __future__ import annotations

from torch import Tensor, nn

from facefit.observe.segment.face_crops import CHANNELS, CLASSES
from training.blocks import UNet

FACE_WIDTHS = (16, 32, 48, 64, 96)
DETAIL_WIDTHS = (16, 32, 48, 64)


class ScoredUNet(UNet):
    """(N, 12, S, S) crops -> (N, C, S, S) scores."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__(CHANNELS, widths)
        self.score = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.features(x))


class Parser(nn.Module):
    """Both networks. The detail network sees right eyes, mirrored left eyes and mouths alike, and tells them apart by
    the landmarks' channels."""

    def __init__(self) -> None:
        super().__init__()
        self.face = ScoredUNet(FACE_WIDTHS)
        self.detail = ScoredUNet(DETAIL_WIDTHS)

    def forward(self, face: Tensor, detail: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 12, 128, 128), (3 N, 12, 96, 96) -> class probabilities of the same layout."""
        return self.face(face).softmax(1), self.detail(detail).softmax(1)
