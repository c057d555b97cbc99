"""Photos of the default model whose answer is known, with landmarks and labels of a perfect observer."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from facefit.anatomy.parts import LABEL, MASKS
from facefit.energies.landmark import calibrated_precision
from facefit.geometry.camera import Camera, WindowTransform, project, to_camera_space, to_clip_space
from facefit.geometry.rotation import rotation_matrix
from facefit.model.face_model import FaceModel
from facefit.observe.dense import load_points
from facefit.observe.observation import Observation
from facefit.observe.outline import face_outline
from facefit.observe.segment.contract import Segmentation
from facefit.observe.segment.masks import post_process
from facefit.render import load_renderer
from facefit.render.lighting import shade, vertex_normals
from facefit.scene.landmarks import contour_choice, head_yaw, project_landmarks
from facefit.scene.parameters import Parameters
from facefit.scene.scene import Scene
from facefit.scene.silhouette import outline_points

SIDE = 224
BACKGROUND = (0.25, 0.45, 0.55)
CAMERA = Camera(torch.tensor([[1015.0, 1015.0]]), torch.tensor([[112.0, 112.0]]))
DENSE = ("dense_points", "dense_normals")


@dataclass(frozen=True)
class RenderedFace:
    """B photographed people: what is known of them, and the truth. labels: (B, S, S)."""

    observation: Observation
    truth: Parameters
    labels: np.ndarray


def person(model: FaceModel, *, yaw: float = 0.0, seed: int = 0, **activations: float) -> Parameters:
    """A random likely face, `yaw` degrees turned, with these expressions, lit a little from its left above."""
    generator = torch.Generator().manual_seed(seed)
    value = Parameters.zeros(model.sizes)
    expression = value.expression.clone()
    for name, amount in activations.items():
        expression[0, model.expression_names.index(name)] = amount
    sh = value.sh.clone()
    sh[:, 1:4] = torch.tensor([0.12, 0.45, 0.18])[None, :, None]  # y, z, x
    sh[:, 0] *= 0.8
    return replace(
        value,
        identity=0.6 * torch.randn(value.identity.shape, generator=generator),
        albedo=0.5 * torch.randn(value.albedo.shape, generator=generator),
        expression=expression,
        rotvec=torch.tensor([[0.05, np.radians(yaw), -0.03]]).float(),
        translation=torch.tensor([[6.0, 28.0, -1000.0]]),
        sh=sh,
    )


@torch.no_grad()
def photograph(model: FaceModel, truth: Parameters, side: int = SIDE) -> RenderedFace:
    """Render with the plain path (no antialiasing, no energies), label by the mesh, and observe without any error."""
    batch = truth.batch
    camera = Camera(torch.full((batch, 2), 1015.0 / 224 * side), torch.full((batch, 2), side / 2))
    verts = model.shape(truth.identity, truth.expression, truth.gaze)
    points = to_camera_space(verts, truth.rotvec, truth.translation)
    renderer = load_renderer("cpu")
    rast = renderer.rasterize(to_clip_space(points, camera, side), model.faces, side)
    colour = shade(model.albedo(truth.albedo), vertex_normals(points, model.faces), truth.sh)
    image = renderer.interpolate(colour, rast, model.faces).clamp(0, 1)
    covered = rast[..., 3:] > 0
    image = torch.where(covered, image, torch.tensor(BACKGROUND))
    share = renderer.interpolate(model.part_weight.expand(batch, -1, -1), rast, model.faces)
    labels = torch.where(covered[..., 0], share.argmax(-1), 0)
    labels = torch.where(labels == LABEL["head"], LABEL["neck"], labels).numpy().astype(np.uint8)

    pixels = project(points, camera)
    landmarks = project_landmarks(model, points, camera, contour_choice(model, pixels))
    bias, _ = calibrated_precision(
        head_yaw(rotation_matrix(truth.rotvec)), model.landmark_yaw, model.landmark_bias, model.landmark_covariance,
        -points[..., 2].mean(1) / camera.focal.mean(1),
    )  # fmt: skip
    landmarks = landmarks + bias  # where the detector would see them
    masks, valid, lines = zip(
        *(
            post_process(Segmentation(label, np.ones(label.shape, np.float32)), landmark.numpy())
            for label, landmark in zip(labels, landmarks, strict=True)
        ),
        strict=True,
    )
    observation = Observation(
        image=image,
        landmarks=landmarks,
        landmark_confidence=torch.ones(batch, landmarks.shape[1]),
        part_masks=torch.from_numpy(np.stack(masks)),
        valid=torch.from_numpy(np.stack(valid)),
        brow_line=torch.from_numpy(np.stack(lines)),
        camera=camera,
        window=WindowTransform(torch.zeros(batch, 2), torch.ones(batch), side),
        outline=outline_of(Scene(model, truth, camera, side, renderer)),
        **(dict(zip(DENSE, dense_of(model, truth, camera), strict=True)) if model.dense_faces is not None else {}),
    )
    return RenderedFace(observation, truth, labels)


@torch.no_grad()
def dense_of(model: FaceModel, truth: Parameters, camera: Camera) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, P, 4) and (B, E, 5) as in Observation: what a perfect network would see, and how sure it would be."""
    scene, (first, second) = Scene(model, truth, camera), torch.from_numpy(load_points().edges.T.copy())
    points = scene.dense_points()
    along = torch.nn.functional.normalize(points[:, first] - points[:, second], dim=-1)
    normals = torch.nn.functional.normalize(
        torch.eye(3)[2] - along * along[..., 2:], dim=-1
    )  # across it, to the viewer
    ones, edges = torch.ones_like(points[..., :1]), torch.ones_like(along[..., :1])
    return torch.cat([project(points, camera), 0.5 * ones, ones], -1), torch.cat([normals, 0.02 * edges, edges], -1)


def window_of(model: FaceModel, truth: Parameters) -> Observation:
    """An empty window in which nothing but landmarks, points and normals is seen."""
    camera = Camera(CAMERA.focal.expand(truth.batch, 2), CAMERA.centre.expand(truth.batch, 2))
    pixels = project(model.landmarks(Scene(model, truth, camera).surface()), camera)
    blank = torch.zeros(truth.batch, SIDE, SIDE)
    points, normals = dense_of(model, truth, camera)
    return Observation(
        image=torch.zeros(truth.batch, SIDE, SIDE, 3), landmarks=pixels,
        landmark_confidence=torch.ones(pixels.shape[:2]), valid=blank,
        part_masks=blank[:, None].expand(-1, len(MASKS), -1, -1),
        brow_line=torch.tensor([[[0.0, 1.0, 0.0]] * 2]).expand(truth.batch, -1, -1), camera=camera,
        window=WindowTransform(torch.zeros(truth.batch, 2), torch.ones(truth.batch), SIDE),
        dense_points=points, dense_normals=normals,
    )  # fmt: skip


@torch.no_grad()
def outline_of(scene: Scene) -> torch.Tensor:
    """(B, M, 6) as in Observation: the outline of the mesh's own picture, without that of ears and neck, which a parser
    would tell from the face."""
    whole = np.ones((scene.size, scene.size), bool)
    labels = torch.where(scene.covered(), LABEL["skin"], LABEL["background"]).numpy().astype(np.uint8)
    outline = torch.stack([torch.from_numpy(face_outline(label, whole)) for label in labels])
    mesh = outline_points(scene, outline)
    across = ((project(mesh.on(scene.surface()), scene.camera) - outline[..., :2]) * outline[..., 2:4]).sum(-1)
    face = (mesh.found > 0) & (across.abs() < 1)
    return torch.where(face[..., None], outline, 0.0)


def together(*people: Parameters) -> Parameters:
    """A batch of people."""
    return Parameters(**{name: torch.cat([p.tensors()[name] for p in people]) for name in people[0].tensors()})


def with_expressions(model: FaceModel, *begin: str) -> FaceModel:
    """The model with those of its expressions whose names begin so: carrying all 52 to a person takes a second."""
    kept = [name for name in model.expression_names if name.startswith(begin)]
    rows = [model.expression_names.index(name) for name in kept]
    own = model.correctives
    place = [k for k, expression in enumerate(own.expression.tolist()) if expression in rows]
    moved = torch.tensor([rows.index(int(own.expression[k])) for k in place])
    return replace(
        model, expression_basis=model.expression_basis[rows], expression_names=tuple(kept),
        correctives=replace(own, basis=own.basis[place], expression=moved, identity=own.identity[place]),
    )  # fmt: skip
