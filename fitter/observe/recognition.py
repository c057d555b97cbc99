"""A face recognition network of the user's own, and what it makes of a photo and of pictures laid over it.

Such networks are trained on faces that a similarity has brought to one place, by the middles of the eyes, the tip of
the nose and the corners of the mouth (ArcFace). Photo and render are cut by the same similarity, that of the photo's
landmarks: what differs between the two crops is the face.

The network is computed by facefit.compute.network: gradients flow through it, and nothing of its file is executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..anatomy.landmarks import (
    LEFT_INNER_CORNER,
    LEFT_MOUTH_CORNER,
    LEFT_OUTER_CORNER,
    NOSE_TIP,
    RIGHT_INNER_CORNER,
    RIGHT_MOUTH_CORNER,
    RIGHT_OUTER_CORNER,
)
from ..compute.network import Network
from ..errors import ModelError
from ..files.read_onnx import read_onnx
from ..files.untrusted import reading
from .observation import Observation

KIND = "a face recognition network (.onnx)"
SIDES = range(32, 513)  # pixels of the square that it looks at; usual are 112, 150, 160 and 224
LENGTHS = range(16, 4097)  # numbers of an embedding; usual are 128 to 512

# The five points in a crop of 112 pixels (insightface's arcface_dst), the centre of the first pixel at (0, 0): the
# person's right eye, left eye, tip of the nose, right and left corner of the mouth.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
TEMPLATE_SIDE = 112


@dataclass(frozen=True)
class Recognition:
    """A network on one device.

    Attributes:
        network: of one input (3, S, S), RGB as (value - 127.5) / 127.5 of 0 to 255, and one output, the embedding.
    """

    network: Network

    @property
    def side(self) -> int:
        """S, the pixels of a side of the crop that it looks at."""
        (shape,) = self.network.inputs.values()
        return shape[-1]

    def to(self, device: torch.device | str) -> Recognition:
        """The same on another device."""
        return Recognition(self.network.to(device))

    def embedding(self, crops: Tensor) -> Tensor:
        """What it makes of faces.

        On a CPU each goes through it alone: a sum over several is rounded differently than one over one.

        Args:
            crops: (B, 3, S, S) RGB in [0, 1].
        Returns:
            (B, D), not normalised.
        """
        alone = crops.device.type == "cpu" and len(crops) > 1
        return torch.cat([self._embedding(each) for each in (crops.split(1) if alone else (crops,))])

    def _embedding(self, crops: Tensor) -> Tensor:
        (name,), (output,) = self.network.inputs, self.network.outputs
        return self.network({name: 2 * crops - 1})[output].flatten(1)


def load_recognition(path: Path | str, device: torch.device | str = "cpu") -> Recognition:
    """Read a network; docs/likeness.md says what it has to be.

    Args:
        path: the ONNX file, which is not trusted (facefit.files.read_onnx).
    Raises:
        ModelError: the file is missing or damaged, it asks for what is not supported, or it is no network from a square
            picture to an embedding; one line.
    """
    path = Path(path)
    with reading(path, KIND):
        if path.suffix.lower() != ".onnx":
            raise ModelError(f"a {path.suffix or 'nameless'} file; accepted: .onnx")
        graph, _ = read_onnx(path)
        try:
            network = Network(graph, graph.outputs[:1])
        except ValueError as error:
            raise ModelError(str(error)) from None
        _check(network)
        recognition = Recognition(network)
        with torch.no_grad():
            grey = recognition.embedding(torch.full((1, 3, recognition.side, recognition.side), 0.5))
        if not torch.isfinite(grey).all():
            raise ModelError("of a grey picture it makes values that are not finite")
        return recognition.to(device)


def _check(network: Network) -> None:
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ModelError(f"{len(network.inputs)} inputs and {len(network.outputs)} outputs; expected one and one")
    ((name, shape),) = network.inputs.items()
    if len(shape) != 3 or shape[0] != 3 or shape[1] != shape[2] or shape[1] not in SIDES:
        raise ModelError(
            f"its input {name!a:.40} takes {shape}; expected (3, S, S), S from {SIDES[0]} to {SIDES[-1]}, a batch "
            "before it"
        )
    ((name, shape),) = network.outputs.items()
    length = torch.Size(shape).numel()
    if not shape or length != max(shape) or length not in LENGTHS:
        raise ModelError(
            f"its first output {name!a:.40} is {shape}; expected an embedding of {LENGTHS[0]} to {LENGTHS[-1]} "
            "numbers, a batch before it"
        )


def five_points(landmarks: Tensor) -> Tensor:
    """(B, 478, 2) landmarks -> (B, 5, 2) middles of the eyes, tip of the nose, corners of the mouth; right first.

    An eye's middle lies between its corners: irises would move with the gaze.
    """
    eyes = landmarks[:, [RIGHT_OUTER_CORNER, LEFT_INNER_CORNER]] + landmarks[:, [RIGHT_INNER_CORNER, LEFT_OUTER_CORNER]]
    return torch.cat([eyes / 2, landmarks[:, [NOSE_TIP, RIGHT_MOUTH_CORNER, LEFT_MOUTH_CORNER]]], 1)


def crop_grid(landmarks: Tensor, side: int) -> Tensor:
    """Where the pixels of the crop lie that a recognition network looks at.

    Args:
        landmarks: (B, 478, 2) pixels of a picture. side: S of the crop.
    Returns:
        (B, S, S, 2) x and y of the crop's pixel centres in the picture.
    Source: the similarity whose five points lie nearest to the template in the crop (Umeyama 1991), in complex numbers.
    """
    points = torch.view_as_complex(five_points(landmarks).contiguous())
    template = torch.view_as_complex((torch.tensor(TEMPLATE).to(landmarks) + 0.5) * (side / TEMPLATE_SIDE))
    here, there = points - points.mean(1, keepdim=True), template - template.mean()
    factor = (here.conj() * there).sum(1) / (here.abs() ** 2).sum(1)  # crop pixels per pixel, and the turn
    line = torch.arange(side).to(landmarks) + 0.5
    pixel = torch.complex(line.expand(side, side), line[:, None].expand(side, side))
    return torch.view_as_real((pixel - template.mean()) / factor[:, None, None] + points.mean(1)[:, None, None])


def cut(picture: Tensor, grid: Tensor) -> Tensor:
    """(B, H, W, 3) picture at (B, S, S, 2) places -> (B, 3, S, S), bilinear; beyond its border the border goes on."""
    height, width = picture.shape[1:3]
    there = torch.stack([grid[..., 0] * (2 / width), grid[..., 1] * (2 / height)], -1) - 1
    return functional.grid_sample(
        picture.permute(0, 3, 1, 2), there, mode="bilinear", padding_mode="border", align_corners=False
    )


@dataclass(frozen=True)
class Likeness:
    """What a network makes of B observed faces, and of pictures in the same windows.

    Attributes:
        grid: (B, S, S, 2) places of the crops' pixels in the windows.
        embedding: (B, D) of the photos.
    """

    recognition: Recognition
    grid: Tensor
    embedding: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, recognition: Recognition, observation: Observation) -> Likeness:
        """Of the photos, by their landmarks; everything on one device."""
        grid = crop_grid(observation.landmarks, recognition.side)
        return cls(recognition, grid, recognition.embedding(cut(observation.image, grid)))

    def seen(self, picture: Tensor) -> Tensor:
        """(B, S, S, 3) pictures of the windows -> (B, D) embeddings, with gradients to the pictures."""
        return self.recognition.embedding(cut(picture, self.grid))

    def __getitem__(self, index: Sequence[int] | Tensor) -> Likeness:
        """Of some of the faces."""
        return replace(self, grid=self.grid[index], embedding=self.embedding[index])
