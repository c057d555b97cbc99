"""How far eyes and mouth are open: what has to agree when two faces show the same expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import lsq_linear

from ..anatomy.landmarks import INNER_LIP_PAIRS, LEFT_MOUTH_CORNER, LID_PAIRS, RIGHT_MOUTH_CORNER
from ..model.face_model import FaceModel

CLOSED, OPEN = 0.5, 2.0  # mm that an opening has at most, and from which on nobody would call it closed
LIDS = slice(0, len(LID_PAIRS))
LIPS = slice(len(LID_PAIRS), len(LID_PAIRS) + len(INNER_LIP_PAIRS))
TOLERANCE = 0.2  # mm that an opening may be off ...
CHANGE = 0.1  # ... at the cost of so much activation
LEAST_EYE = 1.0  # mm; openings of lids are compared as shares of the eye at rest, of this at least
UP = 1  # axis

# What opens and closes which: other expressions are the face's own business.
_EYES = ("eyeBlink", "eyeWide")
_MOUTH = ("mouth", "jawOpen")


@dataclass(frozen=True)
class Openings:
    """Of one face, linear in its weights: heights of pairs of landmarks over each other, lids first, then lips.

    Attributes:
        rest: (P,) mm, of the face without expression. slope: (E, P) mm at activation 1.
        names: (E,). mouth: mm between its corners at rest.
    """

    rest: np.ndarray
    slope: np.ndarray
    names: tuple[str, ...]
    mouth: float

    @classmethod
    def of(cls, model: FaceModel, neutral: np.ndarray, shapes: np.ndarray) -> Openings:
        """Of a face (V, 3) mm with shapes (E, V, 3) mm in a model's triangles."""
        first, second = np.array(LID_PAIRS + INNER_LIP_PAIRS).T
        points = model.landmarks(torch.from_numpy(np.concatenate([neutral[None], shapes])).float()).double().numpy()
        apart = points[:, first, UP] - points[:, second, UP]
        corners = points[0, LEFT_MOUTH_CORNER] - points[0, RIGHT_MOUTH_CORNER]
        return cls(apart[0], apart[1:], tuple(model.expression_names), float(np.linalg.norm(corners)))

    def at(self, weights: np.ndarray) -> np.ndarray:
        """(F, E) weights -> (F, P) mm."""
        return self.rest + weights @ self.slope

    def wanted(self, seen: np.ndarray, other: Openings, rest: np.ndarray) -> np.ndarray:
        """(F, P) mm that this face is to be open when another one shows `seen` (F, P).

        Lids by shares of the eye at rest, lips by their way, as wide as the mouth is. What is closed there is closed
        here: to be open by less than a hair is not to be open.

        Args:
            rest: (P,) mm of the other face at rest.
        """
        out = np.empty_like(seen)
        share = 1 + (seen[:, LIDS] - rest[LIDS]) / np.maximum(rest[LIDS], LEAST_EYE)
        lids = share * self.rest[LIDS]
        shut = (seen[:, LIDS] <= CLOSED) & (rest[LIDS] > CLOSED)
        out[:, LIDS] = np.where(shut, np.minimum(lids, seen[:, LIDS]), lids)
        way = seen[:, LIPS] - rest[LIPS]
        sure = np.clip((way - CLOSED) / (OPEN - CLOSED), 0, 1)
        lips = np.where(way <= CLOSED, np.minimum(way, 0), sure * way * self.mouth / max(other.mouth, 1.0))
        out[:, LIPS] = self.rest[LIPS] + lips
        return out

    def opened(self, weights: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """(F, E) weights nearest to those given that open eyes and mouth as wanted (F, P) mm.

        What is closed is only kept from opening: how lids and lips are pressed is the weights' own.
        """
        lids = _named(self.names, _EYES)
        lips = _named(self.names, _MOUTH)
        out = weights.copy()
        for movers, pairs, shut in ((lids, LIDS, 0.0), (lips, LIPS, 1.0)):
            slope = self.slope[movers, pairs].T / TOLERANCE
            system = np.concatenate([slope, np.eye(len(movers)) / CHANGE])
            for frame, now in enumerate(self.at(out)[:, pairs]):
                missing = wanted[frame, pairs] - now
                closed = wanted[frame, pairs] - shut * self.rest[pairs] <= CLOSED
                missing = np.where(closed, np.minimum(missing, 0), missing)
                if len(movers) == 0 or np.abs(missing).max() < 1e-3:
                    continue
                start = out[frame, movers]
                right = np.concatenate([missing / TOLERANCE, np.zeros(len(movers))])
                found = lsq_linear(system, right, (-start - 1e-9, 1 - start + 1e-9), method="bvls")
                out[frame, movers] = np.clip(start + found.x, 0, 1)
        return out


def _named(names: Sequence[str], beginnings: tuple[str, ...]) -> np.ndarray:
    return np.array([k for k, name in enumerate(names) if name.startswith(beginnings)], int)
