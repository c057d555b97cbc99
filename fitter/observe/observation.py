"""Observation: what is known of B faces, checked once, on one device: image, landmarks, masks, surface, camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor

from ..anatomy.parts import MASKS, PARTS
from ..geometry.camera import Camera, WindowTransform


@dataclass(frozen=True)
class Observation:
    """B observed faces.

    Attributes:
        image: (B, S, S, 3) float RGB in [0, 1], the window.
        landmarks: (B, 478, 2) window pixels (MediaPipe's topology).
        landmark_confidence: (B, 478) in [0, 1]; 0 leaves a point out.
        part_masks: (B, 10, S, S) float in [0, 1], channels as in MASKS, after the PRDL paper's post-processing
            (supplement B): PRDL's targets. The forehead above the brows is not in the skin channel.
        valid: (B, S, S) float in [0, 1]: pixels that show this person's skin, eyes, brows, lips or nose, so that a
            colour may be compared there (the forehead counts; hair, glasses, hands, background do not).
        brow_line: (B, 2, 3) lines a x + b y + c = 0 in window pixels with a^2 + b^2 = 1, right and left brow; a point
            with a value > 0 lies above the line (forehead). Vertices there are left out of PRDL's skin.
        part_confidence: (B, 8) in [0, 1], how sure the segmenter is of each of PARTS, on average over its mask; PRDL
            counts the part so much. Without it all count fully.
        outline: (B, M, 6), M = facefit.observe.outline.POINTS: x, y in window pixels, the unit normal out of the face,
            1 where the face ends against the background, 1 where against the neck; both 0 in a row that is not used.
            Where hair or something else hides its end there is no point. Without it there is no outline.
        dense_points: (B, P, 4), the points of facefit.observe.dense: x, y and their deviation in window pixels, how
            much each counts in [0, 1]. Without them there are none, P = 0.
        dense_normals: (B, E, 5), in the middle of its edges: the unit normal in camera space, its deviation in
            radians, how much it counts.
        identity: (B, I), about where the model's identity is to be expected (facefit.fit.identity_guess), in standard
            deviations. Without it I = 0, and the mean face is expected.
        camera: the original photos' cameras.
        window: photo pixels -> window pixels.
    """

    image: Tensor
    landmarks: Tensor
    landmark_confidence: Tensor
    part_masks: Tensor
    valid: Tensor
    brow_line: Tensor
    camera: Camera
    window: WindowTransform
    part_confidence: Tensor = cast(Tensor, None)  # never None once __post_init__ has run; so all that follow
    outline: Tensor = cast(Tensor, None)
    dense_points: Tensor = cast(Tensor, None)
    dense_normals: Tensor = cast(Tensor, None)
    identity: Tensor = cast(Tensor, None)

    def __repr__(self) -> str:
        return f"Observation({len(self.image)} of {self.image.shape[2]} x {self.image.shape[1]} pixels)"

    def __post_init__(self) -> None:
        batch, size = self.image.shape[0], self.image.shape[1]
        if self.part_confidence is None:
            object.__setattr__(self, "part_confidence", self.image.new_ones(batch, len(PARTS)))
        if self.outline is None:
            object.__setattr__(self, "outline", self.image.new_zeros(batch, 1, 6))
        if self.dense_points is None:
            object.__setattr__(self, "dense_points", self.image.new_zeros(batch, 0, 4))
        if self.dense_normals is None:
            object.__setattr__(self, "dense_normals", self.image.new_zeros(batch, 0, 5))
        if self.identity is None:
            object.__setattr__(self, "identity", self.image.new_zeros(batch, 0))
        expected = {
            "image": (batch, size, size, 3),
            "landmarks": (batch, self.landmarks.shape[1], 2),
            "landmark_confidence": (batch, self.landmarks.shape[1]),
            "part_masks": (batch, len(MASKS), size, size),
            "valid": (batch, size, size),
            "brow_line": (batch, 2, 3),
            "part_confidence": (batch, len(PARTS)),
            "outline": (batch, self.outline.shape[1], 6),
            "dense_points": (batch, self.dense_points.shape[1], 4),
            "dense_normals": (batch, self.dense_normals.shape[1], 5),
            "identity": (batch, self.identity.shape[1]),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if tuple(value.shape) != shape:
                raise ValueError(f"observation.{name} has shape {tuple(value.shape)}; expected {shape}")
            if not torch.isfinite(value).all():
                raise ValueError(f"observation.{name} holds values that are not finite")
        if self.window.size != size:
            raise ValueError(f"window size {self.window.size} differs from the image side {size}")

    @property
    def batch(self) -> int:
        """B, the number of faces."""
        return self.image.shape[0]

    @property
    def size(self) -> int:
        """Side of the window in pixels."""
        return self.image.shape[1]

    def to(self, device: torch.device | str) -> Observation:
        """The same on another device."""
        return Observation(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    @classmethod
    def cat(cls, several: Sequence[Observation]) -> Observation:
        """The faces of several in one batch. Raises ValueError when their windows differ in size."""
        if len(several) == 1:
            return several[0]
        sizes = {each.size for each in several}
        if len(sizes) > 1:
            raise ValueError(f"windows of {sorted(sizes)} px in one batch; they must be alike")
        named = {
            f.name: torch.cat([getattr(each, f.name) for each in several])
            for f in fields(cls) if f.name not in ("camera", "window")
        }  # fmt: skip
        camera = Camera(
            torch.cat([each.camera.focal for each in several]), torch.cat([each.camera.centre for each in several])
        )
        window = WindowTransform(
            torch.cat([each.window.origin for each in several]), torch.cat([each.window.scale for each in several]),
            several[0].window.size,
        )  # fmt: skip
        return cls(**named, camera=camera, window=window)

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Observation:
        """Of some of the faces, or of one as a batch of one."""
        if isinstance(index, int):
            index = [index]
        part = object.__new__(Observation)  # faces of what has been checked need no second check: it asks the device
        for f in fields(self):
            object.__setattr__(part, f.name, getattr(self, f.name)[index])
        return part
