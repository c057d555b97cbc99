"""The pictures of docs/prdl.md: what PRDL compares, and where it pulls, beside other losses.

    python -m benchmarks.figures_prdl [--out docs/images]

One face of the bundled model is rendered; its right brow is the part, as in the paper's fig. 6 and 11. The brow that is
fitted belongs to the model's mean face, set aside by a few pixels. Everything is made from the code that is described.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablation.losses import make_loss
from benchmarks.ablation.scene import Scene, Stage
from facefit.anatomy.landmarks import LANDMARKS
from facefit.anatomy.parts import LABEL, MASKS, PARTS
from facefit.energies.prdl.contract import STATISTICS
from facefit.energies.prdl.targets import prdl_targets
from facefit.geometry.camera import Camera, WindowTransform, to_camera_space, to_clip_space
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from facefit.observe.observation import Observation
from facefit.render import Renderer, load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.scene.parameters import Parameters

SIZE = 112  # pixels
PART = PARTS.index("right_brow")
ASIDE = (-3.0, 4.0)  # pixels, right and down: how far the fitted brow is off in the first pictures
METHODS = {
    "prdl": "PRDL", "chamfer": "Chamfer", "softras": "soft silhouette", "antialias": "antialiased silhouette"
}  # fmt: skip
APART = {"3 px off": (1.0, 3.0), "14 px off": (-4.0, 14.0)}
POINTS, PULL, TARGET = "#d95f02", "#111111", "#7fb3e6"


@dataclass(frozen=True)
class Subject:
    """One photographed person: what is seen, and the same pose with the mean face.

    Attributes:
        observation: (B = 1) masks of the render. image: (S, S, 3). mean: parameters of the mean face in its pose.
    """

    observation: Observation
    image: np.ndarray
    mean: Parameters


@torch.no_grad()
def subject(model: FaceModel, renderer: Renderer) -> Subject:
    """A likely person with lifted brows, rendered and labelled by the model itself."""
    generator = torch.Generator().manual_seed(7)
    mean = replace(Parameters.zeros(model.sizes), translation=torch.tensor([[0.0, 26.0, -950.0]]))
    expression = mean.expression.clone()
    for name, amount in {"browInnerUp": 0.5, "browOuterUpRight": 0.8, "mouthSmileLeft": 0.4}.items():
        expression[0, model.expression_names.index(name)] = amount
    sh = mean.sh.clone()
    sh[:, 1:4] = torch.tensor([0.12, 0.45, 0.18])[None, :, None]
    truth = replace(
        mean, identity=0.7 * torch.randn(mean.identity.shape, generator=generator), expression=expression, sh=0.8 * sh,
        albedo=0.5 * torch.randn(mean.albedo.shape, generator=generator),
    )  # fmt: skip
    camera = Camera(torch.full((1, 2), 1015.0 / 224 * SIZE), torch.full((1, 2), SIZE / 2))
    points = to_camera_space(model.shape(truth.identity, truth.expression), truth.rotvec, truth.translation)
    rast = renderer.rasterize(to_clip_space(points, camera, SIZE), model.faces, SIZE)
    colour = shade(model.albedo(truth.albedo), vertex_normals(points, model.faces), truth.sh)
    image = renderer.interpolate(colour, rast, model.faces)
    covered = rast[..., 3:] > 0
    image = torch.where(covered, image, torch.tensor([0.86, 0.88, 0.9])).clamp(0, 1)
    share = renderer.interpolate(model.part_weight[None], rast, model.faces)
    label = torch.where(covered[..., 0], share.argmax(-1), 0)
    masks = torch.zeros(1, len(MASKS), SIZE, SIZE)
    for channel, name in enumerate(PARTS):
        masks[0, channel] = (label[0] == LABEL[name]).float()
    observation = Observation(
        image=image, landmarks=torch.zeros(1, LANDMARKS, 2), landmark_confidence=torch.zeros(1, LANDMARKS),
        part_masks=masks,
        valid=torch.ones(1, SIZE, SIZE), brow_line=torch.tensor([[[0.0, -1.0, 0.0]] * 2]), camera=camera,
        window=WindowTransform(torch.zeros(1, 2), torch.ones(1), SIZE),
    )  # fmt: skip
    return Subject(observation, image[0].numpy(), mean)


def brow_scene(seen: Subject, model: FaceModel, renderer: Renderer, triangles: bool) -> Scene:
    """The mean face's scene where its brow lies over the photographed one."""
    scene = Stage(seen.observation, model, renderer, 1, triangles=triangles)(seen.mean, 0)
    mine = members(scene, triangles)
    y, x = np.nonzero(seen.observation.part_masks[0, PART].numpy())
    shift = torch.tensor([x.mean() + 0.5, y.mean() + 0.5]) - scene.pixels[0, mine].mean(0)
    return moved(scene, shift)


def members(scene: Scene, triangles: bool) -> Tensor:
    """Indices of the brow's points, or of its triangles' corners."""
    if triangles:
        return scene.mesh.triangles[scene.seen[0] & (scene.mesh.part == PART)].unique()
    return scene.selection.vertex[scene.selection.offset[PART] : scene.selection.offset[PART + 1]]


def moved(scene: Scene, shift: Tensor) -> Scene:
    """The scene with everything shifted in the picture; flat, as only one part is looked at."""
    pixels = (scene.pixels + shift.float()).detach().requires_grad_(True)
    one = torch.ones_like(pixels[..., :1])
    clip = torch.cat([2 * pixels[..., :1] / SIZE - 1, 1 - 2 * pixels[..., 1:] / SIZE, 0 * one, one], -1)
    return replace(scene, pixels=pixels, corners=pixels, clip=clip)


def pull(name: str, scene: Scene, seen: Subject, renderer: Renderer) -> tuple[np.ndarray, np.ndarray, float]:
    """Where the brow's points are, (N, 2), the descent direction there, (N, 2), and the brow's energy."""
    loss = make_loss(name, renderer)
    energy = loss(scene, loss.targets(seen.observation))[0, PART]
    (gradient,) = torch.autograd.grad(energy, scene.pixels)
    mine = members(scene, loss.triangles)
    return scene.pixels.detach()[0, mine].numpy(), -gradient[0, mine].numpy(), energy.item()


def draw_descriptors(seen: Subject, path: Path) -> None:
    """The photo, the mask, and the three channels of the mask's descriptor."""
    import matplotlib.pyplot as plt

    mask = seen.observation.part_masks[0, PART].numpy()
    channels = prdl_targets(seen.observation.part_masks).descriptors[0, PART].numpy()
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.7), constrained_layout=True)
    axes[0].imshow(seen.image, extent=(0, SIZE, SIZE, 0))
    axes[0].contour(mask, [0.5], colors=[TARGET], extent=(0, SIZE, 0, SIZE), origin="lower")
    axes[0].set_title("photo (a render)")
    axes[1].imshow(mask, cmap="gray")
    axes[1].set_title("its right brow's mask")
    for axis, channel, name in zip(axes[2:], channels, STATISTICS, strict=True):
        picture = axis.imshow(channel, cmap="viridis")
        axis.contour(channel, 8, colors="white", linewidths=0.4)
        axis.contour(mask, [0.5], colors=[POINTS], linewidths=0.8)
        axis.set_title(f"{name} distance, px")
        figure.colorbar(picture, ax=axis, shrink=0.75)
    finish(figure, axes, path)


def draw_gradient(seen: Subject, model: FaceModel, renderer: Renderer, path: Path) -> None:
    """PRDL's pull on the points of a brow that is off, statistic by statistic."""
    import matplotlib.pyplot as plt

    scene = moved(brow_scene(seen, model, renderer, False), torch.tensor(ASIDE))
    names = {"prdl_min": "min", "prdl_max": "max", "prdl_mean": "mean", "prdl": "all three"}
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.4), constrained_layout=True)
    for axis, (name, title) in zip(axes, names.items(), strict=True):
        at, direction, energy = pull(name, scene, seen, renderer)
        draw_field(axis, seen, at, direction)
        axis.set_title(f"{title}: {energy:.0f} px$^2$")
    finish(figure, axes, path)


def draw_comparison(seen: Subject, model: FaceModel, renderer: Renderer, path: Path) -> None:
    """Four losses' pull, overlapping and apart, and how strong their net pull is there."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(METHODS), figsize=(11, 5.4), constrained_layout=True)
    for column, (name, title) in enumerate(METHODS.items()):
        still = brow_scene(seen, model, renderer, make_loss(name, renderer).triangles)
        fields = [pull(name, moved(still, torch.tensor(shift)), seen, renderer) for shift in APART.values()]
        net = [float(np.linalg.norm(direction.sum(0))) for _, direction, _ in fields]
        for row, ((at, direction, _), where) in enumerate(zip(fields, APART, strict=True)):
            draw_field(axes[row, column], seen, at, direction)
            strength = "net pull: 1" if row == 0 else f"net pull: {net[1] / net[0]:.2g} of that"
            axes[row, column].set_title(f"{title}, {where}\n{strength}")
    finish(figure, axes, path)


def draw_profiles(seen: Subject, model: FaceModel, renderer: Renderer, path: Path) -> None:
    """Energy of the brow against how far it is off, and the pull that brings it back."""
    import matplotlib.pyplot as plt

    offsets = np.arange(-24.0, 24.5, 1.0)
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), constrained_layout=True)
    for name, title in {**METHODS, "icp_prediction": "ICP prediction -> target", "reda": "ReDA's idea"}.items():
        still = brow_scene(seen, model, renderer, make_loss(name, renderer).triangles)
        found = [pull(name, moved(still, torch.tensor([0.0, offset])), seen, renderer) for offset in offsets]
        energy = np.array([energy for _, _, energy in found])
        back = np.array([direction[:, 1].sum() for _, direction, _ in found]) * -np.sign(offsets)
        axes[0].plot(offsets, energy / energy.max(), label=title)
        axes[1].plot(offsets, back / np.abs(back).max(), label=title)
    axes[0].set_title("energy of the brow, of its greatest")
    axes[1].set_title("pull back, of its greatest")
    for axis in axes:
        axis.set_xlabel("vertical offset, px of 112")
        axis.axhline(0, color="0.8", linewidth=0.8)
    axes[1].legend(fontsize=7)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def draw_field(axis, seen: Subject, at: np.ndarray, direction: np.ndarray) -> None:
    """Points and arrows over the brow's surroundings. The longest arrow takes 10 pixels, the others the root of their
    share of it: PRDL's largest are a hundred times its smallest. None where nothing pulls."""
    mask = seen.observation.part_masks[0, PART].numpy()
    axis.imshow(1 - 0.45 * (1 - seen.image), extent=(0, SIZE, SIZE, 0))
    axis.contourf(mask, [0.5, 1.5], colors=[TARGET], alpha=0.7, extent=(0, SIZE, 0, SIZE), origin="lower")
    axis.plot(*at.T, ".", color=POINTS, markersize=2.5)
    length = np.linalg.norm(direction, axis=1)
    shown = length > 1e-6
    if shown.any():
        arrows = direction[shown] / length[shown, None] * np.sqrt(length[shown, None] / length.max()) * 10
        axis.quiver(
            *at[shown].T, *arrows.T, angles="xy", scale_units="xy", scale=1, color=PULL, width=0.005, headwidth=3.5
        )
    y, x = np.nonzero(mask)
    axis.set_xlim(x.mean() - 22, x.mean() + 22)
    axis.set_ylim(y.mean() + 22, y.mean() - 18)


def finish(figure, axes, path: Path) -> None:
    import matplotlib.pyplot as plt

    for axis in np.ravel(axes):
        axis.set_xticks([])
        axis.set_yticks([])
        axis.title.set_fontsize(9)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures_prdl", description=__doc__.split("\n")[0])
    images = Path(__file__).resolve().parent.parent / "docs" / "images"
    parser.add_argument("--out", type=Path, default=images, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        import matplotlib
    except ImportError:
        print("figures_prdl needs matplotlib: pip install matplotlib", file=sys.stderr)
        return 2
    matplotlib.use("Agg")
    options.out.mkdir(parents=True, exist_ok=True)
    model, renderer = load_model(), load_renderer("cpu")
    seen = subject(model, renderer)
    draw_descriptors(seen, options.out / "prdl_descriptors.png")
    draw_gradient(seen, model, renderer, options.out / "prdl_gradient.png")
    draw_comparison(seen, model, renderer, options.out / "prdl_comparison.png")
    draw_profiles(seen, model, renderer, options.out / "prdl_profiles.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
