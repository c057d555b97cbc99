"""Scene: faces of one model before their cameras, and what there is to see of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..anatomy.landmarks import LANDMARKS7
from ..compute.derived import derived, kept
from ..geometry.camera import Camera, WindowTransform, project, to_clip_space
from ..geometry.rotation import rotation_matrix
from ..model.face_model import FaceModel
from ..render import Renderer
from ..render.lighting import shade, vertex_normals
from ..render.view import View, face_box, view
from ..vocabulary import SPACES
from .landmarks import contour_choice, head_yaw, project_landmarks
from .parameters import Parameters
from .part_picture import mesh_faces, part_labels, render_labels
from .part_points import part_points


@dataclass(frozen=True, eq=False)
class Scene:
    """B faces of one model under their parameters, before their cameras.

    Two kinds of questions are put to it. Energies ask for tensors of all faces, float32, with gradients where the
    parameters have them. Files and pictures ask for NumPy arrays of one face (B = 1), posed in float64; they
    stand below. What is asked for is computed once.

    Attributes:
        model, parameters: of the faces.
        camera: of the pixels that are asked for: a window's in a fit, the photo's afterwards.
        size: side of the window in pixels, and renderer: where pictures of the window are asked for.
        exact: also the tensors come from the float64 pose; without gradients.
    """

    model: FaceModel
    parameters: Parameters
    camera: Camera
    size: int = 0
    renderer: Renderer | None = None
    exact: bool = False

    def _once(self, key: str, make: Callable[[Scene], Tensor]) -> Tensor:
        """What was computed without gradients is no answer where they are wanted; the other way round it is."""
        blind = not torch.is_grad_enabled() and key not in kept(self)
        return derived(self, (key, "without gradients") if blind else key, make)

    # ---------------------------------------------------------------- the surface

    def surface(self) -> Tensor:
        """(B, V, 3) vertices in camera space, mm."""
        return self._once("surface", Scene._surface)

    def _surface(self) -> Tensor:
        if self.exact:
            return torch.from_numpy(self.verts_in("camera")).float()[None]
        verts = self._shape()
        return verts @ self.rotation().transpose(1, 2) + self.parameters.translation[:, None]

    def _shape(self) -> Tensor:
        """(B, V, 3) vertices in model space, mm."""
        value = self.parameters
        return self.model.shape(value.identity, value.expression, value.gaze, value.joints)

    def rotation(self) -> Tensor:
        """(B, 3, 3) model space -> camera space."""
        return self._once("rotation", lambda own: rotation_matrix(own.parameters.rotvec))

    def yaw(self) -> Tensor:
        """(B,) degrees; see `head_yaw`."""
        return head_yaw(self.rotation())

    def normals(self) -> Tensor:
        """(B, V, 3) unit vertex normals in camera space."""
        return self._once("normals", lambda own: vertex_normals(own.surface(), own.model.faces))

    def colours(self, albedo: Tensor | None = None) -> Tensor:
        """(B, V, 3) albedo, the parameters' own or (B, V, 3) another one, under the parameters' light; not clamped."""
        albedo = self.model.albedo(self.parameters.albedo) if albedo is None else albedo
        return shade(albedo, self.normals(), self.parameters.sh)

    # ---------------------------------------------------------------- points in the picture

    def pixels(self) -> Tensor:
        """(B, V, 2) where the vertices lie in the picture."""
        return project(self.surface(), self.camera)

    def surface_landmarks(self) -> Tensor:
        """(B, L, 3) landmarks in camera space, mm, where they lie on the mean face."""
        return self._once("surface landmarks", lambda own: own.model.landmarks(own.surface()))

    def dense_points(self) -> Tensor:
        """(B, P, 3) camera space mm: the points that a network observes (facefit.observe.dense)."""
        return self.model.dense_points(self.surface())

    def contour(self) -> Tensor:
        """(B, R) vertices the cheek contour's landmarks sit on under this pose."""
        return contour_choice(self.model, self.pixels())

    def landmarks(self, contour: Tensor | None = None) -> Tensor:
        """(B, L, 2) landmarks in the picture, as a detector sees them: those of the cheeks on the contour.

        Args:
            contour: (B, R) from `contour` where it is known already.
        """
        contour = self.contour() if contour is None else contour
        return project_landmarks(self.model, self.surface(), self.camera, contour, self.surface_landmarks())

    def part_positions(self) -> Tensor:
        """(B, P, 3) camera space mm: the points that stand for the parts (facefit.scene.part_points)."""
        return part_points(self.model).positions(self.surface(), self.surface_landmarks())

    # ---------------------------------------------------------------- pictures of the window

    def clip(self) -> Tensor:
        """(B, V, 4) vertices in clip space."""
        return self._once("clip", lambda own: to_clip_space(own.surface(), own.camera, own.size))

    def rast(self) -> Tensor:
        """(B, S, S, 4) which triangle each pixel sees; see facefit.render."""
        return self._once("rast", lambda own: own._drawn_by().rasterize(own.clip(), own.model.faces, own.size))

    def interpolate(self, values: Tensor) -> Tensor:
        """(B or 1, V, C) values of the vertices -> (B, S, S, C), 0 where no face is seen."""
        return self._drawn_by().interpolate(values, self.rast(), self.model.faces)

    def _drawn_by(self) -> Renderer:
        if self.renderer is None:
            raise ValueError("the scene has no renderer; pictures of its window need one")
        return self.renderer

    def covered(self) -> Tensor:
        """(B, S, S) bool: where the mesh is seen."""
        return self.rast()[..., 3] > 0

    def picture(self) -> Tensor:
        """(B, S, S, 3) the mesh in its colours, black where it is not seen."""
        return self.interpolate(self.colours())

    def part_picture(self) -> Tensor:
        """(B, S, S) facefit.anatomy.parts.LABELS of what is seen: the part with the largest share of the pixel."""
        share = self.interpolate(self.model.part_weight[None])
        return torch.where(self.covered(), share.argmax(-1), 0)

    # ---------------------------------------------------------------- one face, for files and pictures of the photo

    def pose(self) -> tuple[np.ndarray, np.ndarray]:
        """R (3, 3) and t (3,) float64 with X_camera = R X_model + t, mm."""
        rotation = rotation_matrix(self.parameters.rotvec.detach().cpu().double())[0].numpy()
        return rotation, self.parameters.translation.detach().cpu().double()[0].numpy()

    def verts_in(self, space: str) -> np.ndarray:
        """(V, 3) float64 mm in "model" space (upright, facing +z) or in "camera" space.

        Raises:
            ValueError: another space.
        """
        if space not in SPACES:
            raise ValueError(f"space is {space!r}; accepted: {', '.join(SPACES)}")
        make = Scene._model_verts if space == "model" else Scene._camera_verts
        return derived(self, ("verts", space), make).copy()  # whoever is given an array may write into it

    @torch.no_grad()
    def _model_verts(self) -> np.ndarray:
        return self._shape()[0].cpu().double().numpy()

    def _camera_verts(self) -> np.ndarray:
        rotation, translation = self.pose()
        return self.verts_in("model") @ rotation.T + translation

    def landmarks7_in(self, space: str) -> np.ndarray:
        """(7, 3) float64 mm: corners of the eyes, nose bottom, corners of the mouth, on the surface of the mesh."""
        return landmarks7_of(self.model, self.verts_in(space))

    def view(self, window: WindowTransform) -> View:
        """What a window of the photo sees of the mesh."""
        return view(self.verts_in("camera"), mesh_faces(self.model), self.camera, window)

    def looked_up(self, values: np.ndarray, window: WindowTransform) -> np.ndarray:
        """What a picture (S, S) of a window of the photo has where each vertex lies: (V,), the nearest pixel of the
        border for those outside."""
        pixels = window.to("cpu").to_window(self.pixels().double().cpu())[0].numpy()
        column, row = np.clip(np.nan_to_num(pixels), 0, window.size - 1).astype(int).T
        return values[row, column]

    def pixel_in(self, window: WindowTransform) -> float:
        """mm of the face across a pixel of a window of the photo, at the median depth of its vertices."""
        depth = float(np.median(-self.verts_in("camera")[:, 2]))
        return depth / float(self.camera.focal[0, 0] * window.scale)

    def parts_in(self, seen: View) -> np.ndarray:
        """(S, S) uint8 facefit.anatomy.parts.LABELS of what a view shows."""
        return part_labels(seen, mesh_faces(self.model), self.model.vertex_label.cpu().numpy())

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the mesh in photo pixels. Raises ValueError: it lies behind the camera."""
        return face_box(self.verts_in("camera"), self.camera)

    def picture_of_parts(self, width: int, height: int) -> np.ndarray:
        """(height, width) uint8 labels of the mesh in the photo's pixels; see `render_labels`."""
        return render_labels(self.model, self.verts_in("camera"), self.camera, width, height)


def landmarks7_of(model: FaceModel, verts: np.ndarray) -> np.ndarray:
    """(V, 3) vertices of a model's mesh in any space -> (7, 3) its seven evaluation points."""
    rows = list(LANDMARKS7)
    corners = verts[model.faces[model.landmark_faces[rows]].cpu().numpy()]
    return (corners * model.landmark_bary[rows].cpu().double().numpy()[:, :, None]).sum(1)
