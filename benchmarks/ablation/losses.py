"""The methods that are compared, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from benchmarks.ablation.scene import Scene
from facefit.observe.observation import Observation
from facefit.render import Renderer


class Loss(Protocol):
    """Part masks as an energy. `triangles`: whether it looks at the triangles of a scene, else at its points."""

    triangles: bool

    def targets(self, observation: Observation) -> Any:
        """What it knows of B faces, once per fit."""
        ...

    def __call__(self, scene: Scene, targets: Any, scale: float = 1.0) -> Tensor:
        """(B, 8) energies of the parts in the order of facefit.anatomy.parts.PARTS; 0 for an empty mask."""
        ...


@dataclass(frozen=True)
class Method:
    """One line of the tables.

    Attributes:
        title: in the tables. family: prdl, silhouette, or points.
        weight: where the search of the weight begins: what makes an error of about 3 of 224 pixels cost alike.
        scaled: whether it has a reach that the search may widen.
    """

    title: str
    family: str
    weight: float
    scaled: bool = False


NONE = "none"  # no loss at all: what the start itself is worth
PIXELS, SHARE = 3.0, 300.0  # weights of energies in pixels^2 of a window of 224, and of energies between 0 and 1
STATISTICS = {
    "prdl": ("min", "max", "mean"), "prdl_min": ("min",), "prdl_max": ("max",), "prdl_mean": ("mean",),
    "prdl_min_max": ("min", "max"), "prdl_min_mean": ("min", "mean"), "prdl_max_mean": ("max", "mean"),
}  # fmt: skip
METHODS = {
    **{name: Method(f"PRDL {' + '.join(kinds)}", "prdl", PIXELS) for name, kinds in STATISTICS.items()},
    "softras": Method("SoftRas silhouette, IoU", "silhouette", SHARE, scaled=True),
    "dibr": Method("DIB-R silhouette, IoU", "silhouette", SHARE, scaled=True),
    "antialias": Method("antialiased silhouette, IoU", "silhouette", SHARE),
    "reda": Method("ReDA's idea, smoothed parts", "silhouette", SHARE, scaled=True),
    "icp_target": Method("ICP target -> prediction", "points", PIXELS),
    "icp_prediction": Method("ICP prediction -> target", "points", PIXELS),
    "chamfer": Method("Chamfer, squared", "points", PIXELS),
    "chamfer_l1": Method("Chamfer, unsquared", "points", 10 * PIXELS),
    "dcd": Method("density-aware Chamfer", "points", SHARE, scaled=True),
}


def make_loss(name: str, renderer: Renderer) -> Loss:
    """The loss of a method. Raises ValueError for an unknown name."""
    from benchmarks.ablation.point_losses import NearestPoints, Prdl
    from benchmarks.ablation.silhouettes import AntialiasedIou, Reda, SoftSilhouetteIou

    if name in STATISTICS:
        return Prdl(STATISTICS[name])
    if name in ("softras", "dibr"):
        return SoftSilhouetteIou(name)
    if name == "antialias":
        return AntialiasedIou(renderer)
    if name == "reda":
        return Reda()
    kinds = {"icp_target": "target", "icp_prediction": "prediction"}
    if name in METHODS:
        return NearestPoints(kinds.get(name, name))
    raise ValueError(f"method is {name!r}; accepted: {', '.join(METHODS)}")
