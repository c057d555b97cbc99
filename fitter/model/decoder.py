"""Decoder: a network in the place of a model's components. facefit.model.face_model says what its arrays are.

What is fitted is a code in standard deviations of the network's prior, so that every energy is that of a linear model;
the network is given mean + code @ root. Shapes are moves from the network's face at rest, which lies on the model's
mean face: whatever moves that (a displacement, another origin) moves every face.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ..compute.network import Network
from ..compute.sparse_map import SparseMap

CODES = ("identity", "expression", "albedo")  # names of the network's inputs
VERTS, COLOURS = "verts", "reflectance"  # and of its outputs
STEP = 0.2  # deviations, or activation, over which a slope is measured: curved nets have kinks, and 32 bits few digits
AT_ONCE = 1 << 25  # numbers of several faces' values in the network that are computed at once


@dataclass(frozen=True)
class Prior:
    """Where a code of mean 0 and covariance 1 lies for the network: mean (1, K) + code @ root (I, K)."""

    mean: Tensor
    root: Tensor

    def to(self, device: torch.device | str) -> Prior:
        """The same on another device."""
        return Prior(self.mean.to(device), self.root.to(device))


@dataclass(frozen=True)
class Decoder:
    """Networks on one device.

    Attributes:
        shape: `identity` and, where `moves_face`, `expression` -> `verts` (C, 3).
        colours: `albedo` -> `reflectance` (C, 3); None: the model's own components.
        frame: (3, 3), the network's vertices times it are mm in the model's axes.
        priors: of the codes that are not standard normal for the network.
        rest: (C, 3) mm, its face at code 0.
        subdivision: from its C vertices to the model's V, or None.
        moves_face: whether expressions come out of the network; else they are the model's linear ones.
    """

    shape: Network
    colours: Network | None
    frame: Tensor
    priors: dict[str, Prior]
    rest: Tensor
    subdivision: SparseMap | None
    moves_face: bool

    def offsets(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, I), (B, E) -> (B, V, 3) mm from the face at rest; a face of its own whatever the company on the CPU."""
        return self._upsampled(self._alone(self._verts, identity, expression) - self.rest)

    def reflectance(self, albedo: Tensor) -> Tensor:
        """(B, A) -> (B, V, 3) sRGB-encoded reflectance; not clamped. Raises ValueError: no colours in the network."""
        if self.colours is None:
            raise ValueError("the decoder has no reflectance")
        return self._upsampled(self._alone(self._reflectance, albedo))

    @torch.no_grad()
    def linearised(self, identity: Tensor, expression: Tensor, points: SparseMap, activation: bool) -> Tensor:
        """What a small change of each number of one face's code does to some points.

        Args:
            identity: (I,), expression: (E,).
            points: P points as sums of the decoder's C vertices.
            activation: expressions live in [0, 1]: steps go inwards.
        Returns:
            (1 + N, P, 3): the points' offsets at this code, mm; then mm per unit, N = I or I + E where `moves_face`.
        """
        at = torch.cat([identity, expression]) if self.moves_face else identity
        step = torch.full_like(at, STEP)
        if activation:
            step[len(identity) :] = torch.where(at[len(identity) :] > 0.5, -STEP, STEP)
        codes = torch.cat([at[None], at + torch.diag(step)])
        rest = expression.expand(len(codes), -1)
        found = []
        for some in torch.arange(len(codes), device=at.device).split(max(1, AT_ONCE // self.shape.numbers)):
            faces = codes[some, : len(identity)], codes[some, len(identity) :] if self.moves_face else rest[some]
            found.append(points(self._verts(*faces) - self.rest))
        offsets = torch.cat(found)
        return torch.cat([offsets[:1], (offsets[1:] - offsets[:1]) / step[:, None, None]])

    def at(self, points: SparseMap) -> SparseMap:
        """Points as sums of the model's V vertices -> as sums of the decoder's C."""
        return points if self.subdivision is None else points.after(self.subdivision)

    def without_expression(self) -> Decoder:
        """The same whose expressions are the model's linear ones."""
        return replace(self, moves_face=False)

    def to(self, device: torch.device | str) -> Decoder:
        """The same on another device."""
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved |= {name: value.to(device) for name, value in moved.items() if isinstance(value, (Network, Tensor))}
        return Decoder(**moved | {"priors": {name: prior.to(device) for name, prior in self.priors.items()}})

    def _verts(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, C, 3) mm as the network places them."""
        codes = {"identity": self._latent("identity", identity)}
        if "expression" in self.shape.inputs:
            given = expression if self.moves_face else torch.zeros_like(expression)
            codes["expression"] = self._latent("expression", given)
        return self.shape(codes)[VERTS] @ self.frame

    def _reflectance(self, albedo: Tensor) -> Tensor:
        assert self.colours is not None
        return self.colours({"albedo": self._latent("albedo", albedo)})[COLOURS]

    def _latent(self, name: str, code: Tensor) -> Tensor:
        prior = self.priors.get(name)
        return code if prior is None else torch.addmm(prior.mean, code, prior.root)

    def _alone(self, decode: Any, *codes: Tensor) -> Tensor:
        """A product of several rows is rounded differently than one of one (facefit.compute.row_product)."""
        if codes[0].device.type != "cpu" or len(codes[0]) == 1:
            return decode(*codes)
        rows = [decode(*(code[face : face + 1].clone() for code in codes)) for face in range(len(codes[0]))]
        return torch.cat(rows) if rows else decode(*codes)

    def _upsampled(self, values: Tensor) -> Tensor:
        return values if self.subdivision is None else self.subdivision(values)


def make_decoder(
    networks: tuple[Network, Network | None], frame: Tensor, priors: dict[str, Prior], subdivision: SparseMap | None,
    sizes: dict[str, int], vertices: int,
) -> Decoder:  # fmt: skip
    """The decoder, if it fits the model.

    Args:
        networks: shape, and colours or None. sizes: of the model's identity, expression and albedo codes.
        vertices: C.
    Raises:
        ValueError: an input or output that is not as documented, or a face at rest that is not finite.
    """
    shape, colours = networks
    for network, names, out in ((shape, CODES[:2], VERTS), (colours, CODES[2:], COLOURS)):
        if network is None:
            continue
        for name, given in network.inputs.items():
            if name not in names:
                raise ValueError(f"{out} hangs on the input {name!a:.40}; accepted: {', '.join(names)}")
            length = len(priors[name].mean[0]) if name in priors else sizes[name]
            if given != (length,):
                raise ValueError(f"its input {name!a:.40} takes {given}; the model has {length}")
            if name in priors and len(priors[name].root) != sizes[name]:
                raise ValueError(
                    f"the prior of {name} is of {len(priors[name].root)} numbers; the model has {sizes[name]}"
                )
        if network.outputs[out] != (vertices, 3):
            raise ValueError(
                f"its output {out!r} is {network.outputs[out]}; expected ({vertices}, 3), a batch before it"
            )
        if names[0] not in network.inputs:
            raise ValueError(f"{out} does not hang on the input {names[0]!r}")
    moves_face = "expression" in shape.inputs and sizes["expression"] > 0
    blank = Decoder(shape, colours, frame, priors, torch.zeros(vertices, 3), subdivision, moves_face)
    with torch.no_grad():
        rest = blank._verts(torch.zeros(1, sizes["identity"]), torch.zeros(1, sizes["expression"]))[0]
        tint = rest if colours is None else blank._reflectance(torch.zeros(1, sizes["albedo"]))
    if not (torch.isfinite(rest).all() and torch.isfinite(tint).all()):
        raise ValueError("at the middle of its prior the network gives values that are not finite")
    return replace(blank, rest=rest)
