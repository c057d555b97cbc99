"""What the parser learns from: windows around faces with labels and landmarks, and the files they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# A label that says nothing: the loss leaves these pixels out.
IGNORE = 255
# Side of a stored window in pixels, and its side over the longer side of the landmarks' box: a quarter wider than the
# window of a fit, so that turning and enlarging it needs no pixels from beyond.
SIDE = 384
MARGIN = 2.0


@dataclass(frozen=True)
class Samples:
    """N labelled windows.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        labels: (N, S, S) uint8, numbers of facefit.anatomy.parts.LABELS, or IGNORE.
        landmarks: (N, 478, 2) float32 window pixels.
        sources: (N,) str, where each is from: "v2", "v3", "rendered".
        people: (N,) str, who is seen, for leaving people out; "" where nobody.
        names: (N,) str.
        yaw: (N,) float32 degrees as the set states it; 0 where unknown.
    """

    images: np.ndarray
    labels: np.ndarray
    landmarks: np.ndarray
    sources: np.ndarray
    people: np.ndarray
    names: np.ndarray
    yaw: np.ndarray

    def __post_init__(self) -> None:
        count, side = self.images.shape[:2]
        expected = {
            "images": (count, side, side, 3), "labels": (count, side, side), "landmarks": (count, 478, 2),
            "sources": (count,), "people": (count,), "names": (count,), "yaw": (count,),
        }  # fmt: skip
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"samples.{name} has shape {getattr(self, name).shape}; expected {shape}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: np.ndarray) -> Samples:
        return Samples(**{name: value[index] for name, value in self.__dict__.items()})

    def save(self, path: Path) -> None:
        temporary = path.with_name(path.name + ".part.npz")
        np.savez_compressed(temporary, **self.__dict__)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Samples:
        with np.load(path, allow_pickle=False) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})


def concatenate(parts: list[Samples]) -> Samples:
    """One after the other."""
    return Samples(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].__dict__})
