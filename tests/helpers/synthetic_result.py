"""A FitResult whose answer is known: a photo of a mesh with a painted texture, made without the code under test."""

import numpy as np
import torch

from facefit.anatomy.parts import MASKS
from facefit.fit.result import FitResult
from facefit.geometry.camera import Camera, WindowTransform, project
from facefit.model.face_model import FaceModel
from facefit.observe.observation import Observation
from facefit.render.view import make_window, view
from facefit.scene.parameters import Parameters

GREEN = np.array([0, 255, 0], np.uint8)  # the background; nothing painted is green


def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The texture: RGB in [0, 1], red and blue ripples, little green."""
    red = 0.55 + 0.25 * np.sin(9 * u) * np.cos(7 * v)
    blue = 0.45 + 0.25 * np.cos(8 * u + 5 * v)
    return np.stack([red, 0.15 + 0 * u, blue], -1)


def synthetic_result(
    model: FaceModel, *, width: int = 420, height: int = 360, yaw: float = 0.0, distance: float = 900.0, side: int = 96,
    texture=paint, shift: tuple[float, float] = (12.0, -8.0),
) -> FitResult:  # fmt: skip
    """The toy model with some shape, at `yaw` radians, photographed before a green wall; everything of it valid."""
    rng = np.random.default_rng(5)
    value = Parameters.zeros(model.sizes)
    value = Parameters(
        **value.tensors()
        | {
            "identity": torch.from_numpy(rng.normal(size=value.identity.shape)).float(),
            "expression": torch.from_numpy(rng.uniform(0, 0.6, value.expression.shape)).float(),
            "rotvec": torch.tensor([[0.05, yaw, 0.02]]),
            "translation": torch.tensor([[*shift, -distance]]),
        }
    )
    focal = 1.25 * width * distance / 900
    camera = Camera(torch.tensor([[focal, focal * 1.01]]), torch.tensor([[width / 2 + 3.25, height / 2 - 1.5]]))
    blank = WindowTransform(torch.zeros(1, 2), torch.ones(1), side)
    result = FitResult(model, value, camera, blank, empty_observation(camera, blank), np.zeros((2, 2, 3), np.uint8))
    verts, faces = result.verts_in("camera"), model.faces.numpy()

    whole = max(width, height)
    seen = view(verts, faces, camera, make_window((0.0, 0.0), whole, whole))
    uv = seen.interpolate(model.uv.numpy(), model.uv_faces.numpy())[:height, :width]
    inside = seen.seen[:height, :width]
    photo = np.where(inside[..., None], texture(uv[..., 0], uv[..., 1]) * 255 + 0.5, GREEN).astype(np.uint8)

    pixels = project(torch.from_numpy(verts)[None], Camera(camera.focal.double(), camera.centre.double()))[0].numpy()
    low, high = pixels.min(0), pixels.max(0)
    extent = float((high - low).max()) * 1.15
    window = make_window(tuple(((low + high - extent) / 2).tolist()), extent, side)
    observation = empty_observation(camera, window)
    observation.valid[:] = torch.from_numpy(view(verts, faces, camera, window).seen)
    return FitResult(
        model, value, camera, window, observation, photo, energies={"landmark": 1.5, "prdl": 0.25},
        part_iou={"nose": 0.8, "left_eye": None}, landmark_error=0.017, seconds={"fit": 1.25},
        config={"iterations": 10}, versions={"facefit": "0.1"},
    )  # fmt: skip


def empty_observation(camera: Camera, window: WindowTransform) -> Observation:
    side = window.size
    return Observation(
        image=torch.zeros(1, side, side, 3),
        landmarks=torch.zeros(1, 478, 2),
        landmark_confidence=torch.ones(1, 478),
        part_masks=torch.zeros(1, len(MASKS), side, side),
        valid=torch.zeros(1, side, side),
        brow_line=torch.tensor([[[0.0, -1.0, 0.0], [0.0, -1.0, 0.0]]]),
        camera=camera,
        window=window,
    )
