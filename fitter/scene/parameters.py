"""Parameters: what is optimised, as one immutable value. Their first guess from landmarks is in fit.landmark_stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor

from ..render.harmonics import SH0


@dataclass(frozen=True)
class Parameters:
    """Everything that explains B photos under one model.

    Attributes:
        identity: (B, I) standard deviations.
        expression: (B, E) activations in [0, 1], or standard deviations.
        albedo: (B, A) standard deviations.
        rotvec: (B, 3) radians; translation: (B, 3) mm: model space -> camera space.
        sh: (B, 9, 3) RGB spherical-harmonics coefficients of bands 0 to 2 (facefit.render.lighting).
        gaze: (B, 2, 2) radians, right and left eye, yaw and pitch.
        joints: (B, J, 3) radians, rotation vectors of the model's joints; None becomes J = 0, a model without. Neck and
            jaw are read; the root's turn is rotvec, the eyes' is gaze (facefit.model.skeleton).
    """

    identity: Tensor
    expression: Tensor
    albedo: Tensor
    rotvec: Tensor
    translation: Tensor
    sh: Tensor
    gaze: Tensor
    joints: Tensor = cast(Tensor, None)  # never None once __post_init__ has run

    def __post_init__(self) -> None:
        if self.joints is None:
            object.__setattr__(self, "joints", self.gaze.new_zeros(len(self.gaze), 0, 3))

    def __repr__(self) -> str:
        return f"Parameters({', '.join(f'{name} {tuple(value.shape)}' for name, value in self.tensors().items())})"

    @classmethod
    def zeros(cls, sizes: dict[str, int], batch: int = 1, device: torch.device | str = "cpu") -> Parameters:
        """The mean face 1 m in front of the camera, under white ambient light.

        Args:
            sizes: numbers of coefficients and joints, `FaceModel.sizes`.
            batch: B, the number of faces.
        """

        def empty(*shape: int) -> Tensor:
            return torch.zeros(batch, *shape, device=device)

        translation = empty(3)
        translation[:, 2] = -1000.0
        sh = empty(9, 3)
        sh[:, 0] = 1.0 / SH0  # so that band 0 alone shades with 1
        return cls(
            identity=empty(sizes["identity"]),
            expression=empty(sizes["expression"]),
            albedo=empty(sizes["albedo"]),
            rotvec=empty(3),
            translation=translation,
            sh=sh,
            gaze=empty(2, 2),
            joints=empty(sizes.get("joints", 0), 3),
        )

    @property
    def batch(self) -> int:
        """B, the number of faces."""
        return self.identity.shape[0]

    def tensors(self) -> dict[str, Tensor]:
        """All of them by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def detach(self) -> Parameters:
        """The same numbers without gradients."""
        return Parameters(**{k: v.detach() for k, v in self.tensors().items()})

    def to(self, device: torch.device | str) -> Parameters:
        """The same parameters on another device."""
        return Parameters(**{k: v.to(device) for k, v in self.tensors().items()})

    @classmethod
    def cat(cls, several: Sequence[Parameters]) -> Parameters:
        """The faces of several in one batch."""
        tensors = [value.tensors() for value in several]
        return cls(**{name: torch.cat([each[name] for each in tensors]) for name in tensors[0]})

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Parameters:
        """Of some of the faces, or of one as a batch of one."""
        if isinstance(index, int):
            index = [index]
        return Parameters(**{k: v[index] for k, v in self.tensors().items()})
