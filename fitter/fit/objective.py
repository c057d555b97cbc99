"""The energy of a fit: all terms of one observation under one model, as a function of the parameters.

What is discrete (which points are seen, which vertex the contour sits on, which calibration holds) is chosen anew every
few iterations and constant in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from ..anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS, OUTER_EYE_CORNERS
from ..anatomy.parts import LABEL, MASKS
from ..compute.mailbox import device_index
from ..energies.eye_closure import relative_offset_energy
from ..energies.landmark import calibrated_precision, landmark_energy
from ..energies.photometric import photometric_energy
from ..energies.prdl.contract import PrdlTargets
from ..energies.prdl.load import fused
from ..energies.prdl.prdl import prdl_energy
from ..energies.prdl.rows import group_rows
from ..energies.prdl.select import group_points, part_of_label, select_points
from ..energies.prdl.targets import prdl_targets
from ..energies.prior import activation_prior, gaussian_prior, gaze_prior, joint_prior
from ..energies.symmetry import albedo_symmetry
from ..geometry.camera import project, to_clip_space, window_camera
from ..geometry.rotation import rotation_matrix
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..render import Renderer
from ..render.lighting import estimate_sh, shade, vertex_normals
from ..scene.landmarks import contour_choice, head_yaw, landmark_trust, project_landmarks
from ..scene.parameters import Parameters
from ..scene.part_points import KEPT, part_points, rasterized_depth, thin_evenly, visible_points
from .choices import Choices
from .config import FitConfig

PAPER_WINDOW = 224  # PRDL's weights are for distances in pixels of this window


class Objective:
    """Weighted energy terms of B faces. Call it with parameters and the iteration number."""

    def __init__(self, observation: Observation, model: FaceModel, renderer: Renderer, config: FitConfig) -> None:
        self.observation, self.model, self.renderer, self.config = observation, model, renderer, config
        self.camera = window_camera(observation.camera, observation.window)
        self.size = observation.size
        self.points = part_points(model)
        self.hidden = observation.part_masks[:, MASKS.index("hair") :].amax(1)
        self.targets: PrdlTargets | None = prdl_targets(observation.part_masks) if "prdl" in config.energies else None
        self.part_weights = torch.tensor(config.part_weights, device=model.device)
        # only what may be compared by colour is shaded: not the inside of the mouth, not the back of the head
        mouth = model.vertex_label == LABEL["mouth_inside"]
        self.colour_weight = (~mouth).float()[None, :, None]
        right, left = (observation.landmarks[:, corner] for corner in OUTER_EYE_CORNERS)
        self.eye_distance = (right - left).norm(dim=1).clamp_min(1.0)
        self._choices: Choices | None = None

    def __call__(self, parameters: Parameters, iteration: int) -> dict[str, Tensor]:
        """-> name -> (B,) weighted terms."""
        model, config, weights = self.model, self.config, self.config.weights
        verts = model.shape(parameters.identity, parameters.expression, parameters.gaze, parameters.joints)
        rotation = rotation_matrix(parameters.rotvec)
        points = verts @ rotation.transpose(1, 2) + parameters.translation[:, None]
        clip = to_clip_space(points, self.camera, self.size)
        refresh = self._choices is None or iteration % config.stage.refresh == 0
        rast = None
        if "photometric" in config.energies or (refresh and self.targets is not None):
            rast = self.renderer.rasterize(clip, model.faces, self.size)
        if refresh:
            self._choices = self._choose(points, rotation, rast)
        choices = self._choices

        terms: dict[str, Tensor] = {}
        surface_landmarks = model.landmarks(points)
        if "landmark" in config.energies:
            landmarks = project_landmarks(model, points, self.camera, choices.contour, surface_landmarks)
            terms["landmark"] = weights.landmark * landmark_energy(
                landmarks + choices.bias, self.observation.landmarks, choices.precision,
                choices.confidence, "huber" if config.calibrated else "none", config.robust,
            )  # fmt: skip
            if weights.closure:
                terms["closure"] = weights.closure * sum(
                    relative_offset_energy(
                        landmarks + choices.bias, self.observation.landmarks, pairs, self.eye_distance,
                        choices.confidence,
                    )
                    for pairs in (LID_PAIRS, INNER_LIP_PAIRS)
                )  # fmt: skip
        if self.targets is not None:
            pixels = project(self.points.positions(points, surface_landmarks), self.camera)
            scale = (PAPER_WINDOW / self.size) ** 2
            terms["prdl"] = (weights.prdl * scale) * prdl_energy(
                pixels, choices.selection, self.targets, self.part_weights * self.observation.part_confidence,
                config.statistics, config.prdl_huber * self.size / PAPER_WINDOW,
            )  # fmt: skip
        if "photometric" in config.energies:
            albedo = model.albedo(parameters.albedo)
            colours = shade(albedo, vertex_normals(points, model.faces), parameters.sh)
            terms["photometric"] = weights.photometric * self._photometric(colours, clip, rast)
            terms["albedo"] = weights.albedo * gaussian_prior(parameters.albedo)
            if weights.symmetry:
                terms["symmetry"] = weights.symmetry * albedo_symmetry(albedo, model.symmetry)
        terms["identity"] = weights.identity * gaussian_prior(parameters.identity)
        if model.activation:
            terms["expression"] = weights.expression * activation_prior(
                parameters.expression, weights.sparsity, config.activation_scale
            )
        else:
            terms["expression"] = weights.expression * gaussian_prior(parameters.expression)
        terms["gaze"] = weights.gaze * gaze_prior(parameters.gaze)
        if model.skeleton is not None:
            terms["joints"] = weights.joints * joint_prior(parameters.joints, model.skeleton.spread())
        return terms

    def keep(self, faces: Sequence[int]) -> Objective:
        """The energy of some of the faces, which goes on from where this one is."""
        kept, index = copy(self), device_index(faces, self.model.device)
        kept.observation, kept.camera = self.observation[index], self.camera[index]
        kept.hidden, kept.eye_distance = self.hidden[index], self.eye_distance[index]
        kept.targets = None if self.targets is None else self.targets[index]
        kept._choices = None if self._choices is None else self._choices.keep(faces, index)
        return kept

    def rasterized(self, parameters: Parameters) -> Tensor:
        """(B, S, S, 4) rast of the mesh in the window."""
        return self.renderer.rasterize(self.posed(parameters)[1], self.model.faces, self.size)

    def rendered(self, parameters: Parameters, rast: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, S, S, 3) colours of the mesh in the window and (B, S, S) where it is seen."""
        points, clip = self.posed(parameters)
        rast = self.renderer.rasterize(clip, self.model.faces, self.size) if rast is None else rast
        normals = vertex_normals(points, self.model.faces)
        colours = shade(self.model.albedo(parameters.albedo), normals, parameters.sh)
        return self.renderer.interpolate(colours, rast, self.model.faces), (rast[..., 3] > 0).float()

    @torch.no_grad()
    def first_light(self, parameters: Parameters) -> Tensor:
        """(B, 9, 3) SH light under which the albedo explains the photo best, robustly (Bai et al. 2021, eq. 11)."""
        points, clip = self.posed(parameters)
        rast = self.renderer.rasterize(clip, self.model.faces, self.size)
        normals = vertex_normals(points, self.model.faces)
        albedo = self.model.albedo(parameters.albedo).clamp(0.02, 1)
        batch = len(points)
        seen = self.renderer.interpolate(torch.cat([normals, albedo], -1), rast, self.model.faces).reshape(batch, -1, 6)
        weight = (rast[..., 3] > 0).float() * self.observation.valid
        normal = torch.nn.functional.normalize(seen[..., :3], dim=-1)
        given = self.observation.image.reshape(batch, -1, 3), seen[..., 3:], normal, weight.reshape(batch, -1)
        # on the CPU one by one: batched products are rounded differently, and nothing is gained by them
        share = 1 if points.device.type == "cpu" else batch
        return torch.cat([estimate_sh(*parts) for parts in zip(*(value.split(share) for value in given), strict=True)])

    def posed(self, parameters: Parameters) -> tuple[Tensor, Tensor]:
        """(B, V, 3) vertices in camera space and (B, V, 4) in clip space."""
        verts = self.model.shape(parameters.identity, parameters.expression, parameters.gaze, parameters.joints)
        points = verts @ rotation_matrix(parameters.rotvec).transpose(1, 2) + parameters.translation[:, None]
        return points, to_clip_space(points, self.camera, self.size)

    def _part_positions(self, points: Tensor) -> Tensor:
        return self.points.positions(points, self.model.landmarks(points))

    def _photometric(self, colours: Tensor, clip: Tensor, rast: Tensor) -> Tensor:
        model, image = self.model, self.observation.image
        carried = torch.cat([colours, self.colour_weight.expand(len(colours), -1, -1)], -1)
        seen = self.renderer.interpolate(carried, rast, model.faces)
        picture = torch.where(rast[..., 3:] > 0, seen[..., :3], image)
        # the mesh over the photo itself: along the silhouette the antialiasing blends skin with what lies behind it, so
        # moving the silhouette changes the energy
        picture = self.renderer.antialias(picture, rast, clip, model.faces)
        weight = self.observation.valid * seen[..., 3].detach()  # 0 where the mesh is not seen
        return photometric_energy(picture, image, weight)

    @torch.no_grad()
    def _choose(self, points: Tensor, rotation: Tensor, rast: Tensor | None) -> Choices:
        model, config = self.model, self.config
        contour = contour_choice(model, project(points, self.camera))
        if config.calibrated:
            scale = -points[..., 2].mean(1) / self.camera.focal.mean(1)
            bias, precision = calibrated_precision(
                head_yaw(rotation), model.landmark_yaw, model.landmark_bias, model.landmark_covariance, scale,
                config.landmark_floor,
            )  # fmt: skip
        else:
            bias, precision = torch.zeros_like(self.observation.landmarks), None
        selection = None
        if self.targets is not None:
            at = self._part_positions(points)
            pixels = project(at, self.camera)
            visible = visible_points(at, pixels, rast, rasterized_depth(rast))
            keep = select_points(self.points.label, pixels, visible, self.observation.brow_line, self.hidden)
            if fused(keep.device):
                selection = group_rows(keep, part_of_label(self.points.label), pixels, KEPT)
            else:
                keep = thin_evenly(keep, self.points.label, pixels)
                selection = group_points(keep, self.points.label, pixels, None)
        confidence = self.observation.landmark_confidence * landmark_trust(model, rotation)
        return Choices(contour, confidence, bias, precision, selection)
