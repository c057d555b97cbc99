"""Spherical harmonics (SH) of bands 0 to 2."""

from __future__ import annotations

import torch
from torch import Tensor

# Constants of the real orthonormal SH of bands 0 to 2: Ramamoorthi and Hanrahan 2001, An Efficient Representation for
# Irradiance Environment Maps, eq. 3. The attenuation of the cosine kernel is part of the coefficients here.
SH0, SH1, SH2, SH2_ZZ, SH2_XX = 0.282095, 0.488603, 1.092548, 0.315392, 0.546274


def sh_basis(normals: Tensor) -> Tensor:
    """Real SH of bands 0 to 2: (..., 3) unit vectors -> (..., 9), order 1, y, z, x, xy, yz, 3 z^2 - 1, xz, x^2 - y^2.

    Source: Ramamoorthi and Hanrahan 2001, eq. 3.
    """
    x, y, z = normals.unbind(-1)
    return torch.stack(
        [
            torch.full_like(x, SH0),
            SH1 * y,
            SH1 * z,
            SH1 * x,
            SH2 * x * y,
            SH2 * y * z,
            SH2_ZZ * (3 * z * z - 1),
            SH2 * x * z,
            SH2_XX * (x * x - y * y),
        ],
        -1,
    )
