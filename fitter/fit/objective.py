"""The energy of a fit: all terms of one observation under one model, as a function of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from ..anatomy.landmarks import INNER_LIP_PAIRS, LID_PAIRS, OUTER_EYE_CORNERS
from ..anatomy.parts import LABEL, MASKS
from ..compute.mailbox import device_index
from ..energies.dense import normal_energy
from ..energies.eye_closure import relative_offset_energy
from ..energies.landmark import landmark_energy
from ..energies.outline import outline_energy
from ..energies.perceptual import perceptual_energy
from ..energies.photometric import photometric_energy
from ..energies.prdl.contract import PrdlTargets
from ..energies.prdl.prdl import prdl_energy
from ..energies.prdl.targets import prdl_targets
from ..energies.prior import activation_prior, gaussian_prior, gaze_prior, joint_prior
from ..energies.symmetry import albedo_symmetry
from ..geometry.camera import project, window_camera
from ..model.face_model import FaceModel
from ..observe.observation import Observation
from ..observe.recognition import Likeness, Recognition
from ..render import Renderer
from ..scene.parameters import Parameters
from ..scene.scene import Scene
from ..scene.silhouette import REACH, OutlinePoints, outline_trust
from .choices import Choices, choose
from .config import FitConfig
from .dense_rows import dense_basis

PAPER_WINDOW = 224  # PRDL's weights are for distances in pixels of this window


class Objective:
    """Weighted energy terms of B faces. Call it with parameters and the iteration number: name -> (B,).

    Attributes:
        observation, model, renderer, config: as given; camera: of the window; size: its side in pixels.
        choices: what is discrete, since the last refresh.
        jump: (B,) by how much the last call's new choices, and not its parameters, have changed the energy: of the
            outline, whose points go elsewhere; None where nothing was chosen anew.
        likeness: what a recognition network makes of the photos; None without the energy "perceptual".
    """

    def __init__(
        self, observation: Observation, model: FaceModel, renderer: Renderer, config: FitConfig,
        recognition: Recognition | None = None,
    ) -> None:  # fmt: skip
        """recognition: on the model's device; only the energy "perceptual" asks it, and cannot be called without."""
        self.observation, self.model, self.renderer, self.config = observation, model, renderer, config
        self.camera = window_camera(observation.camera, observation.window)
        self.size = observation.size
        self.hidden = observation.part_masks[:, MASKS.index("hair") :].amax(1)
        self.targets: PrdlTargets | None = prdl_targets(observation.part_masks) if "prdl" in config.energies else None
        self.part_weights = torch.tensor(config.part_weights, device=model.device)
        # only what may be compared by colour is shaded: not the inside of the mouth, not the back of the head
        mouth = model.vertex_label == LABEL["mouth_inside"]
        self.colour_weight = (~mouth).float()[None, :, None]
        right, left = (observation.landmarks[:, corner] for corner in OUTER_EYE_CORNERS)
        self.eye_distance = (right - left).norm(dim=1).clamp_min(1.0)
        self.drawn = bool({"prdl", "outline"} & set(config.energies))  # whether choices look at a picture of the mesh
        self.coloured = bool({"photometric", "perceptual"} & set(config.energies))
        asked = recognition if "perceptual" in config.energies else None
        self.likeness = None if asked is None else Likeness.of(asked, observation)
        self.choices: Choices | None = None
        self.jump: Tensor | None = None

    def __call__(self, parameters: Parameters, iteration: int) -> dict[str, Tensor]:
        """-> name -> (B,) weighted terms."""
        config, weights = self.config, self.config.weights
        scene = self.scene(parameters)
        choices = None if iteration % config.stage.refresh == 0 else self.choices
        if self.coloured or (choices is None and self.drawn):
            scene.rast()  # before what follows: gradients are summed in the order in which their terms were computed
        self.jump, before = None, self.choices
        if choices is None:
            choices = self.choices = choose(scene, self.observation, self.hidden, config, self.targets is not None)
            if choices.outline is not None and before is not None and before.outline is not None:
                with torch.no_grad():
                    self.jump = self._outline(scene, choices.outline) - self._outline(scene, before.outline)

        terms: dict[str, Tensor] = {}
        if "landmark" in config.energies:
            terms |= self._landmarks(scene, choices)
        if choices.dense is not None:
            terms["dense"] = self._dense(scene, choices.dense)
        if self.targets is not None and choices.selection is not None:
            pixels = project(scene.part_positions(), self.camera)
            scale = (PAPER_WINDOW / self.size) ** 2
            terms["prdl"] = (weights.prdl * scale) * prdl_energy(
                pixels, choices.selection, self.targets, self.part_weights * self.observation.part_confidence,
                config.statistics, config.prdl_huber * self.size / PAPER_WINDOW,
            )  # fmt: skip
        if choices.outline is not None:
            terms["outline"] = self._outline(scene, choices.outline)
        if self.coloured:
            terms |= self._colours(scene)
        return terms | self._priors(parameters)

    def keep(self, faces: Sequence[int]) -> Objective:
        """The energy of some of the faces, which goes on from where this one is."""
        kept, index = copy(self), device_index(faces, self.model.device)
        kept.observation, kept.camera = self.observation[index], self.camera[index]
        kept.hidden, kept.eye_distance = self.hidden[index], self.eye_distance[index]
        kept.targets = None if self.targets is None else self.targets[index]
        kept.choices = None if self.choices is None else self.choices.keep(faces, index)
        kept.likeness = None if self.likeness is None else self.likeness[index]
        return kept

    def scene(self, parameters: Parameters) -> Scene:
        """The faces under these parameters, in the window."""
        return Scene(self.model, parameters, self.camera, self.size, self.renderer)

    def _landmarks(self, scene: Scene, choices: Choices) -> dict[str, Tensor]:
        config, weights, landmarks = self.config, self.config.weights, scene.landmarks(choices.contour)
        terms = {"landmark": weights.of_landmarks(self.observation.identity.shape[1] > 0) * landmark_energy(
            landmarks + choices.bias, self.observation.landmarks, choices.precision,
            choices.confidence, "huber" if config.calibrated else "none", config.robust,
        )}  # fmt: skip
        if weights.closure:
            lids, lips = (
                relative_offset_energy(
                    landmarks + choices.bias, self.observation.landmarks, pairs, self.eye_distance, choices.confidence
                )
                for pairs in (LID_PAIRS, INNER_LIP_PAIRS)
            )
            terms["closure"] = weights.closure * (lids + lips)
        return terms

    def _colours(self, scene: Scene) -> dict[str, Tensor]:
        weights, albedo = self.config.weights, self.model.albedo(scene.parameters.albedo)
        picture, weight = self._painted(scene, scene.colours(albedo))
        terms = {}
        if "photometric" in self.config.energies:
            terms["photometric"] = weights.photometric * photometric_energy(picture, self.observation.image, weight)
        if "perceptual" in self.config.energies:
            terms["perceptual"] = weights.perceptual * self._perceptual(picture, weight)
        terms["albedo"] = weights.albedo * gaussian_prior(scene.parameters.albedo)
        if weights.symmetry:
            terms["symmetry"] = weights.symmetry * albedo_symmetry(albedo, self.model.symmetry)
        return terms

    def _priors(self, parameters: Parameters) -> dict[str, Tensor]:
        """Those of what is fitted whatever the energies; the albedo's goes with the colours."""
        model, weights, middle, terms = self.model, self.config.weights, self.observation.identity, {}
        if middle.shape[1]:
            terms["identity"] = weights.expected * gaussian_prior(parameters.identity - middle)
        else:
            terms["identity"] = weights.identity * gaussian_prior(parameters.identity)
        if model.activation:
            terms["expression"] = weights.expression * activation_prior(
                parameters.expression, weights.sparsity, self.config.activation_scale
            )
        else:
            terms["expression"] = weights.expression * gaussian_prior(parameters.expression)
        terms["gaze"] = weights.gaze * gaze_prior(parameters.gaze)
        if model.skeleton is not None:
            terms["joints"] = weights.joints * joint_prior(parameters.joints, model.skeleton.spread())
        return terms

    def _outline(self, scene: Scene, points: OutlinePoints) -> Tensor:
        seen, scale = self.observation.outline, PAPER_WINDOW / self.size
        share = outline_trust(seen)
        return (self.config.weights.outline * scale**2) * outline_energy(
            project(points.on(scene.surface()), self.camera), seen[..., :2], seen[..., 2:4],
            share * points.found, share, REACH * self.size, self.config.outline_huber / scale,
        )  # fmt: skip

    def _dense(self, scene: Scene, facing: Tensor) -> Tensor:
        basis, weights, threshold = dense_basis(self.model), self.config.weights, self.config.robust
        assert basis is not None
        points, seen, normals = scene.dense_points(), self.observation.dense_points, self.observation.dense_normals
        spread = seen[..., 2:3]
        of_points = landmark_energy(
            project(points, self.camera) / spread, seen[..., :2] / spread, None, seen[..., 3] * facing, "huber",
            threshold,
        )  # fmt: skip
        first, second = basis.edges
        of_normals = normal_energy(
            points[:, first] - points[:, second], basis.length, normals[..., :3], normals[..., 3],
            normals[..., 4] * facing[:, first] * facing[:, second], threshold,
        )  # fmt: skip
        return weights.dense_points * of_points + weights.dense_normals * of_normals

    def _painted(self, scene: Scene, colours: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, S, 3) the mesh over the photo, and (B, S, S) in [0, 1] where the two may be compared."""
        image, rast = self.observation.image, scene.rast()
        carried = torch.cat([colours, self.colour_weight.expand(len(colours), -1, -1)], -1)
        seen = scene.interpolate(carried)
        picture = torch.where(rast[..., 3:] > 0, seen[..., :3], image)
        # the mesh over the photo itself: along the silhouette the antialiasing blends skin with what lies behind it, so
        # moving the silhouette changes the energy
        picture = self.renderer.antialias(picture, rast, scene.clip(), self.model.faces)
        return picture, self.observation.valid * seen[..., 3].detach()  # 0 where the mesh is not seen

    def _perceptual(self, picture: Tensor, weight: Tensor) -> Tensor:
        if self.likeness is None:
            raise ValueError('the energy "perceptual" asks a recognition network, and none is given')
        image = self.observation.image
        # hair, glasses, hands and the inside of the mouth are the photo's own: the mesh lacks them, whoever it is
        shown = image + weight[..., None] * (picture - image)
        return perceptual_energy(self.likeness.seen(shown), self.likeness.embedding)
