"""What PRDL takes: statistics, targets and the selection of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ...anatomy.parts import PARTS

STATISTICS = ("min", "max", "mean")

SKIN = PARTS.index("skin")

# The paper's count (sec. 3.3 and its code): more points of the large, smooth skin only cost time.
SKIN_POINTS = 3000


@dataclass(frozen=True)
class PrdlTargets:
    """What PRDL knows of B photos.

    Attributes:
        descriptors: (B, 8, 3, S, S) pixels: least, greatest and mean distance (STATISTICS) from each anchor to the
            part's points; 0 for an empty part.
        cell_mean: (B, 8, G, G) pixels: the mean distance once more, over the coarse cells of `prdl_cpu`.
        count: (B, 8) number of points; 0 leaves the part out.
    """

    descriptors: Tensor
    cell_mean: Tensor
    count: Tensor

    @property
    def size(self) -> int:
        """Side of the window in pixels."""
        return self.descriptors.shape[-1]

    def to(self, device: torch.device | str) -> PrdlTargets:
        """The same targets on another device."""
        return PrdlTargets(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> PrdlTargets:
        """Of some of the faces, or of one as a batch of one."""
        if isinstance(index, int):
            index = [index]
        return PrdlTargets(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class PrdlSelection:
    """The vertices that make up each part of B faces, face by face and within a face part by part.

    Attributes:
        face, vertex: (N,) index of the face in the batch and of the vertex in the model.
        offset: (B * 8 + 1,) on the CPU: points offset[8 b + p] to offset[8 b + p + 1] are part p of face b.
    """

    face: Tensor
    vertex: Tensor
    offset: Tensor

    def points(self, pixels: Tensor) -> Tensor:
        """(B, V, 2) projected vertices -> (N, 2) the selected ones, differentiable."""
        return pixels[self.face, self.vertex]

    @property
    def count(self) -> Tensor:
        """(B, 8) number of points of each part."""
        return self.offset.diff().reshape(-1, len(PARTS))

    def __getitem__(self, faces: Sequence[int]) -> PrdlSelection:
        """Of some of the faces, in their new order."""
        bounds = self.offset[:: len(PARTS)].tolist()
        spans = [slice(bounds[face], bounds[face + 1]) for face in faces]
        counts = torch.cat([self.count[list(faces)].flatten().new_zeros(1), self.count[list(faces)].flatten()])
        return PrdlSelection(
            face=torch.cat([torch.full_like(self.face[span], k) for k, span in enumerate(spans)]),
            vertex=torch.cat([self.vertex[span] for span in spans]),
            offset=counts.cumsum(0),
        )
