"""Who people are, as a Gaussian of identity coefficients: made of another model's people by training.people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from .head import Head

STRIDE = 50  # of the control vertices that are compared

SAME = 0.3  # mm, of a component: anatomy changes a little at lids and lips, a turned sign some millimetres


@dataclass(frozen=True)
class IdentityPrior:
    """A Gaussian of identity coefficients.

    Attributes:
        mean: (I,) deviations of the model it was made for.
        root: (I, I), coefficients = mean + root @ z for z of unit variance; its columns are the principal directions of
            the face in mm, the largest first.
        about: whose people they are (name, license, provenance), and `rms`, mm, of a face's vertices: `shift` of the
            mean, `people` around theirs, and what of either the components cannot show, `shift_left`, `people_left`.
        probe: (I, N, 3) mm, that model's components at every STRIDE-th control vertex: of other components the
            coefficients mean something else, and a rebuild on another machine may turn the sign of one.
    """

    mean: np.ndarray
    root: np.ndarray
    about: dict[str, Any] = field(default_factory=dict)
    probe: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))

    def applied(self, mean: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (C, 3) and basis (I, C, 3) of a model whose coefficients are z."""
        return mean + np.tensordot(self.mean, basis, 1), np.tensordot(self.root.T, basis, 1)

    def save(self, path: Path) -> None:
        """As an .npz that `load` reads."""
        np.savez_compressed(
            path, mean=self.mean, root=self.root, probe=self.probe, about=np.array(json.dumps(self.about))
        )

    @classmethod
    def load(cls, path: Path) -> IdentityPrior:
        """What `save` has written."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["mean"], file["root"], json.loads(str(file["about"])), file["probe"])


def with_people(head: Head, prior: IdentityPrior, mirror: np.ndarray) -> Head:
    """The head with those people's mean, made symmetric, and components.

    Args:
        mirror: (C,) each control vertex's mirror image.
    Raises:
        ModelError: the prior was made for other components.
    """
    skin = head.only("skin")
    away = np.abs(head.identity[:, ::STRIDE] - prior.probe)[:, np.isin(np.arange(len(head.mean))[::STRIDE], skin)]
    if away.max() > SAME:
        raise ModelError(f"people of other components, which differ by {away.max():.1f} mm; see training.people")
    mean, identity = prior.applied(head.mean, head.identity)
    return replace(head, mean=(mean + mean[mirror] * [-1, 1, 1]) / 2, identity=identity)
