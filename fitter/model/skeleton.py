"""Skeleton: the joints of a face model as tensors, and how they bend its surface.

The face does not move when the neck bends: everything is expressed in the frame of the joint that carries the face, so
that the pose (rotvec, translation) is always the face's own and the shoulders turn under it. What the original calls
the global rotation is then pose times the inverse of that joint's turn.

Source: Loper et al. 2015 (SMPL), eq. 2 to 9; Li et al. 2017 (FLAME), eq. 1 to 5.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..compute.derived import derived
from ..compute.row_product import affine_rows
from ..geometry.rotation import rotation_matrix

EYES = ("right_eye", "left_eye")  # turned by the gaze
TURNED = ("neck", "jaw")  # turned by Parameters.joints; the root's turn is the pose, others rest

# Standard deviations about x (nod, opening), y and z in radians. A jaw opens to about 0.5 when people shout and slides
# by a few degrees; a neck turns by half a radian, of which one photo shows little, so it is kept short.
SPREAD = {"jaw": (0.2, 0.04, 0.04), "neck": (0.15, 0.15, 0.15)}
RESTS = (1.0, 1.0, 1.0)  # of joints that nothing turns


@dataclass(frozen=True)
class Skeleton:
    """J joints.

    Attributes:
        names: (J,). parent: (J,) index of an earlier joint, -1 at the root.
        position: (J, 3) mm at rest on the mean face; position_basis: (I, J, 3) mm per standard deviation.
        weight: (V, J) skinning weights, rows sum to 1.
        pose_basis: (9 (J - 1), V, 3) mm per unit of R - I of joints 1 to J - 1; or None.
        carrier: index of the joint that carries the face.
    """

    names: tuple[str, ...]
    parent: tuple[int, ...]
    position: Tensor
    position_basis: Tensor
    weight: Tensor
    pose_basis: Tensor | None
    carrier: int

    @property
    def turned(self) -> list[int]:
        """Joints that Parameters.joints turns."""
        return [index for index, name in enumerate(self.names) if name in TURNED]

    def spread(self) -> Tensor:
        """(J, 3) standard deviations of the turns' prior, radians."""
        # sent to the device once: an energy asks for it at every step
        return derived(self, "spread", lambda own: own.position.new_tensor([SPREAD.get(n, RESTS) for n in own.names]))

    def to(self, device: torch.device | str) -> Skeleton:
        """The same joints on another device."""
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved |= {name: value.to(device) for name, value in moved.items() if isinstance(value, Tensor)}
        return Skeleton(**moved)

    def rotations(self, batch: int, joints: Tensor | None, gaze: Tensor | None) -> Tensor:
        """(B, J, 3, 3) turns of all joints.

        Args:
            batch: B, the number of faces.
            joints: (B, J, 3) rotation vectors, radians; read of neck and jaw.
            gaze: (B, 2, 2) radians, right and left eye, yaw and pitch.
        """
        identity = torch.eye(3, dtype=self.position.dtype, device=self.position.device)
        rows = [identity.expand(batch, 3, 3)] * len(self.names)
        if joints is not None:
            for index in self.turned:
                rows[index] = rotation_matrix(joints[:, index])
        if gaze is not None:
            for eye, name in enumerate(EYES):
                for index in (k for k, other in enumerate(self.names) if other == name):
                    rows[index] = gaze_rotation(gaze[:, eye])
        return torch.stack(rows, 1)

    def bend(self, verts: Tensor, identity: Tensor, rotations: Tensor) -> Tensor:
        """Linear blend skinning with pose correctives.

        Args:
            verts: (B, V, 3) mm, the face at rest.
            identity: (B, I) standard deviations, which move the joints too.
            rotations: (B, J, 3, 3) of `rotations`.
        Returns:
            (B, V, 3) mm, in the frame of the carrier.
        Source: Loper et al. 2015 (SMPL), eq. 2 to 9.
        """
        batch, count = len(verts), len(self.names)
        if self.pose_basis is not None:
            away = rotations[:, 1:] - torch.eye(3, dtype=verts.dtype, device=verts.device)
            flat = affine_rows(verts.new_zeros(1, 1), away.reshape(batch, -1), self.pose_basis.flatten(1))
            verts = verts + flat.reshape(verts.shape)
        at = affine_rows(self.position.reshape(1, -1), identity, self.position_basis.flatten(1))
        at = at.reshape(batch, count, 3)
        turn: list[Tensor] = []  # of each joint: rest -> bent, world
        shift: list[Tensor] = []
        for index, parent in enumerate(self.parent):
            own = rotations[:, index]
            if parent < 0:
                whole, place = own, at[:, index]
            else:
                whole = turn[parent] @ own
                place = shift[parent] + (turn[parent] @ at[:, index, :, None])[..., 0]
            turn.append(whole)
            shift.append(place - (whole @ at[:, index, :, None])[..., 0])
        back, origin = turn[self.carrier].transpose(1, 2), shift[self.carrier]
        turns = torch.stack([back @ whole for whole in turn], 1)
        shifts = torch.stack([(back @ (moved - origin)[..., None])[..., 0] for moved in shift], 1)
        # expanded: one product for each face, which is then the same in any company
        blended = self.weight.expand(batch, -1, -1) @ torch.cat([turns.flatten(2), shifts], 2)  # (B, V, 12)
        matrix = blended[..., :9].unflatten(-1, (3, 3))
        return (matrix @ verts[..., None])[..., 0] + blended[..., 9:]


def gaze_rotation(gaze: Tensor) -> Tensor:
    """(B, 2) yaw (positive to the subject's left, +x) and pitch (positive up), radians -> (B, 3, 3)."""
    zero = torch.zeros_like(gaze[:, 0])
    turns = torch.stack([zero, gaze[:, 0], zero, -gaze[:, 1], zero, zero], 1)
    turns = rotation_matrix(turns.reshape(-1, 3)).reshape(-1, 2, 3, 3)  # both at once: small tensors cost by the call
    return turns[:, 0] @ turns[:, 1]
