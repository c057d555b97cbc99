"""The global-local decoder: a code, by way of maps of the face's surface, to an offset from a linear base.

A global path makes maps of the whole face, four local paths those of the eyes, the nose and the mouth. The local maps
are put in their places, fused by the largest value and read together with the global ones. What the global path says
alone is the proxy, which is regularised; what all say together is a residual on top of it.

Source: Tran, Liu, Liu 2019, sec. 3.3 and 3.4; smaller, and over a linear base.
"""

from __future__ import annotations

from dataclasses import dataclass

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip
import torch
from torch import Tensor, nn

from facefit.anatomy.landmarks import LEFT_EYE, LIPS_OUTER, RIGHT_EYE
from facefit.anatomy.parts import LABEL
from facefit.model.face_model import FaceModel
from training.decoder.linear import GraphWriter

SIDE = 64  # of the maps
AROUND = 1.75  # radians from the face's middle to the maps' borders
BEHIND = 80.0  # mm from the origin to the axis that the face is unrolled around
UPWARDS, DOWNWARDS = 85.0, 125.0  # mm from the origin to the maps' upper and lower borders
WIDE, LOCAL, FUSED = (32, 24, 16, 12, 8), (16, 12, 10, 8), 12  # channels
PATCHES = {"right_eye": (16, 16), "left_eye": (16, 16), "nose": (16, 16), "mouth": (16, 24)}  # height and width


@dataclass(frozen=True)
class Maps:
    """Where the control vertices lie on the maps.

    Attributes:
        index: (C, 4) cells, row by row, and share (C, 4): bilinear, 0 where the network moves nothing.
        corner: name -> row and column of each patch's upper left cell.
    """

    index: np.ndarray
    share: np.ndarray
    corner: dict[str, tuple[int, int]]


def face_maps(model: FaceModel, upsample: np.ndarray, weight: np.ndarray) -> Maps:
    """Of the model whose control vertices its `upsample` (V, K) and `weight` (V, K) arrays name."""
    verts, label = model.verts.numpy(), model.vertex_label.numpy()
    count = int(upsample.max()) + 1
    best, of = np.zeros(count), np.zeros(count, int)  # the vertex that each control vertex is most of
    for column in range(upsample.shape[1]):
        order = np.argsort(weight[:, column], kind="stable")
        at, value = upsample[order, column], weight[order, column]
        better = value > best[at]
        best[at[better]], of[at[better]] = value[better], order[better]
    place = _cells(verts)[of]
    skin = (label[of] >= 1) & (label[of] <= LABEL["lower_lip"]) & (model.eyeball.numpy()[of] == 0)
    low = np.floor(place).astype(int).clip(0, SIDE - 2)
    part = (place - low).clip(0, 1)
    fade = np.clip(np.minimum(place, SIDE - 1 - place).min(1) / 4, 0, 1) * skin
    index = np.stack([(low[:, 0] + a) * SIDE + low[:, 1] + b for a in (0, 1) for b in (0, 1)], 1)
    share = np.stack([np.abs(1 - a - part[:, 0]) * np.abs(1 - b - part[:, 1]) for a in (0, 1) for b in (0, 1)], 1)
    marks = _cells(model.landmarks(model.verts[None])[0].numpy())
    nose = _cells(verts[label == LABEL["nose"]])
    middles = {"right_eye": marks[list(RIGHT_EYE)].mean(0), "left_eye": marks[list(LEFT_EYE)].mean(0),
               "nose": (nose.min(0) + nose.max(0)) / 2, "mouth": marks[list(LIPS_OUTER)].mean(0)}  # fmt: skip
    corner = {
        name: tuple(int(round(middle[k] - PATCHES[name][k] / 2)) for k in (0, 1)) for name, middle in middles.items()
    }
    return Maps(index, (share * fade[:, None]).astype(np.float32), corner)  # type: ignore[arg-type]


def _cells(points: np.ndarray) -> np.ndarray:
    """(N, 3) mm -> (N, 2) row and column, the face unrolled around an upright axis."""
    row = (UPWARDS - points[:, 1]) / (UPWARDS + DOWNWARDS)
    column = np.arctan2(points[:, 0], points[:, 2] + BEHIND) / AROUND / 2 + 0.5
    return np.stack([row, column], 1) * (SIDE - 1)


class GlobalLocal(nn.Module):
    """(B, K) codes -> maps (B, 3, SIDE, SIDE): the proxy's offset and the residual on top of it."""

    def __init__(self, size: int, maps: Maps) -> None:
        super().__init__()
        self.corner = maps.corner
        self.wide_start = nn.Linear(size, WIDE[0] * 16)
        self.wide = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(WIDE[:-1], WIDE[1:], strict=True))
        self.local_start = nn.ModuleDict()
        self.local = nn.ModuleDict()
        for name, (height, width) in PATCHES.items():
            self.local_start[name] = nn.Linear(size, LOCAL[0] * height * width // 64)
            self.local[name] = nn.ModuleList(
                nn.Conv2d(a, b, 3, padding=1) for a, b in zip(LOCAL[:-1], LOCAL[1:], strict=True)
            )
        self.proxy = nn.Conv2d(WIDE[-1], 3, 1)
        self.fused = nn.Conv2d(WIDE[-1] + LOCAL[-1], FUSED, 3, padding=1)
        self.residual = nn.Conv2d(FUSED, 3, 3, padding=1)
        for last in (self.proxy, self.residual):  # training begins at the linear base
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(last.bias)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The proxy's offset, the residual."""
        wide = self.wide_start(code).reshape(len(code), WIDE[0], 4, 4)
        for layer in self.wide:
            wide = _up(layer, wide)
        patches = []
        for name, (height, width) in PATCHES.items():
            patch = self.local_start[name](code).reshape(len(code), LOCAL[0], height // 8, width // 8)
            for layer in self.local[name]:
                patch = _up(layer, patch)
            top, left = self.corner[name]
            patches.append(nn.functional.pad(patch, (left, SIDE - left - width, top, SIDE - top - height)))
        local = torch.stack(patches).amax(0)
        fused = nn.functional.leaky_relu(self.fused(torch.cat([wide, local], 1)), 0.1)
        return self.proxy(wide), self.residual(fused)

    def written(self, graph: GraphWriter, code: str) -> str:
        """The name of the sum of both maps in an ONNX graph."""

        def layer(kind: str, x: str, module: nn.Conv2d | nn.Linear, **settings) -> str:
            named = [graph.weight(value.detach().numpy()) for value in (module.weight, module.bias)]
            return graph.add(kind, x, *named, **settings)

        twice = graph.weight(np.array([1, 1, 2, 2], np.float32), half=False)

        def grown(x: str, layers: nn.ModuleList) -> str:
            for each in layers:
                x = graph.add("Resize", x, "", twice, mode="nearest", coordinate_transformation_mode="asymmetric",
                              nearest_mode="floor")  # fmt: skip
                x = graph.add("LeakyRelu", layer("Conv", x, each, pads=[1] * 4), alpha=0.1)
            return x

        def begun(module: nn.Linear, *shape: int) -> str:
            return graph.add("Reshape", layer("Gemm", code, module, transB=1), graph.whole(-1, *shape))

        wide = grown(begun(self.wide_start, WIDE[0], 4, 4), self.wide)
        patches = []
        for name, (height, width) in PATCHES.items():
            patch = grown(begun(self.local_start[name], LOCAL[0], height // 8, width // 8), self.local[name])
            top, left = self.corner[name]
            pads = graph.whole(0, 0, top, left, 0, 0, SIDE - top - height, SIDE - left - width)
            patches.append(graph.add("Pad", patch, pads))
        both = graph.add("Concat", wide, graph.add("Max", *patches), axis=1)
        fused = graph.add("LeakyRelu", layer("Conv", both, self.fused, pads=[1] * 4), alpha=0.1)
        return graph.add("Add", layer("Conv", wide, self.proxy), layer("Conv", fused, self.residual, pads=[1] * 4))


def _up(layer: nn.Module, x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(layer(nn.functional.interpolate(x, scale_factor=2, mode="nearest")), 0.1)


class VertexDecoder(nn.Module):
    """(B, K) codes -> values (B, C, 3) of the control vertices: mean + code @ base + scale * maps; the exponential of
    it where these are logarithms.

    Attributes:
        scale: of the maps, in the values' unit. logarithm: whether the values are logarithms of what is asked for.
    """

    def __init__(self, mean: np.ndarray, base: np.ndarray, maps: Maps, scale: float, logarithm: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean.reshape(1, -1)).float())
        self.base = nn.Parameter(torch.from_numpy(base.reshape(len(base), -1)).float())
        self.maps = GlobalLocal(len(base), maps)
        self.register_buffer("index", torch.from_numpy(maps.index))
        self.register_buffer("share", torch.from_numpy(maps.share))
        self.scale, self.logarithm = scale, logarithm

    def at_vertices(self, maps: Tensor) -> Tensor:
        """(B, 3, SIDE, SIDE) -> (B, C, 3)."""
        return (maps.flatten(2)[:, :, self.index] * self.share).sum(3).transpose(1, 2)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, the proxy's values, the proxy's offset and the residual as maps."""
        linear = torch.addmm(self.mean, code, self.base).reshape(len(code), -1, 3)
        offset, residual = self.maps(code)
        proxy = linear + self.scale * self.at_vertices(offset)
        values = proxy + self.scale * self.at_vertices(residual)
        if self.logarithm:
            proxy, values = proxy.exp(), values.exp()
        return values, proxy, offset, residual

    def written(self, graph: GraphWriter, code: str, out: str) -> None:
        """Into an ONNX graph, as the output `out`."""
        count = self.share.shape[0]
        linear = graph.add("Gemm", code, graph.weight(self.base.detach().numpy()),
                           graph.weight(self.mean[0].numpy(), half=False))  # fmt: skip
        linear = graph.add("Reshape", linear, graph.whole(-1, count, 3))
        flat = graph.add("Reshape", self.maps.written(graph, code), graph.whole(-1, 3, SIDE * SIDE))
        share = graph.weight((self.scale * self.share).numpy(), half=False)
        picked = graph.add("Mul", graph.add("Gather", flat, graph.weight(self.index.numpy()), axis=2), share)
        moved = graph.add("Transpose", graph.add("ReduceSum", picked, graph.whole(3), keepdims=0), perm=[0, 2, 1])
        if self.logarithm:
            graph.add("Exp", graph.add("Add", linear, moved), out=out)
        else:
            graph.add("Add", linear, moved, out=out)
