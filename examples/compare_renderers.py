"""Compare two renderers: pictures, gradients and time of one energy on the face model.

    python examples/compare_renderers.py

The CPU renderer against nvdiffrast where there is an NVIDIA GPU with nvdiffrast; elsewhere the CPU renderer against
itself at twice the size, which says how much of a gradient is due to the size of the pixels.
"""

import time
from dataclasses import replace

import facefit  # noqa: F401  (before torch, which reads how its threads shall wait when it is loaded)

# isort: split
import torch

from facefit import FaceModel, Parameters, load_model
from facefit.errors import FaceFitError
from facefit.geometry.camera import Camera, to_clip_space
from facefit.geometry.rotation import rotation_matrix
from facefit.render import Renderer, load_renderer
from facefit.render.lighting import shade, vertex_normals

SIZE = 224  # pixels
FOCAL = 1015.0  # pixels of a picture of SIZE


def picture(renderer: Renderer, model: FaceModel, parameters: Parameters, size: int) -> torch.Tensor:
    """The face before black, (1, size, size, 3)."""
    scale = size / SIZE
    camera = Camera(torch.full((1, 2), FOCAL * scale), torch.full((1, 2), size / 2)).to(model.device)
    verts = model.shape(parameters.identity, parameters.expression, parameters.gaze)
    points = verts @ rotation_matrix(parameters.rotvec).transpose(1, 2) + parameters.translation[:, None]
    clip = to_clip_space(points, camera, size)
    colours = shade(model.albedo(parameters.albedo), vertex_normals(points, model.faces), parameters.sh)
    rast = renderer.rasterize(clip, model.faces, size)
    return renderer.antialias(renderer.interpolate(colours, rast, model.faces), rast, clip, model.faces)


def measure(renderer: Renderer, model: FaceModel, size: int) -> dict:
    """Picture, gradients and seconds of "as bright as a picture moved by 3 mm"; the second run counts."""
    start = Parameters.zeros(model.sizes, device=model.device)
    aim = replace(start, translation=start.translation + torch.tensor([3.0, 2.0, 0.0], device=model.device))
    with torch.no_grad():
        target = picture(renderer, model, aim, size)
    for _ in range(2):
        values = {name: value.clone().requires_grad_() for name, value in start.tensors().items()}
        began = time.perf_counter()
        rendered = picture(renderer, model, Parameters(**values), size)
        (rendered - target).square().mean().backward()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    gradients = {name: value.grad.flatten().cpu() for name, value in values.items() if value.grad is not None}
    return {"picture": rendered.detach().cpu(), "gradients": gradients, "seconds": seconds}


def halve(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def main(model: FaceModel | None = None) -> dict[str, float]:
    """Print the comparison; returns the cosine of the two gradients of each parameter."""
    model = model or load_model()
    one = measure(load_renderer("cpu"), model, SIZE)
    try:
        device = "cuda"
        two = measure(load_renderer("nvdiffrast", device), model.to(device), SIZE)
        names = ("cpu", "nvdiffrast")
    except FaceFitError as reason:
        print(f"{reason}\n")
        two = measure(load_renderer("cpu"), model, 2 * SIZE)
        two["picture"] = halve(two["picture"])
        names = (f"cpu, {SIZE} px", f"cpu, {2 * SIZE} px")
    print(f"{names[0]}: {1000 * one['seconds']:.1f} ms, {names[1]}: {1000 * two['seconds']:.1f} ms, with gradients")
    print(f"pictures differ by {(one['picture'] - two['picture']).abs().mean():.5f} in the mean, of 1")
    print("\ngradient of        cosine   ratio of lengths")
    cosines = {}
    for name, a in one["gradients"].items():
        b = two["gradients"][name]
        if max(a.norm(), b.norm()) > 1e-9:
            cosines[name] = float(torch.nn.functional.cosine_similarity(a, b, dim=0))
            print(f"{name:16} {cosines[name]:8.4f} {float(b.norm() / a.norm()):8.4f}")
    return cosines


if __name__ == "__main__":
    main()
