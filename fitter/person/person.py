"""The way of several photos of one person: single fits, who is who, one identity for all, the surface they share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..detail.refine import RefinedSurface, displaced_model, neutral_verts, refine_surface, wrinkled_model
from ..errors import FaceFitError, FitError, NoFaceError
from ..fit.descent import fit_observed
from ..fit.instruments import Instruments
from ..fit.objective import Objective
from ..fit.optimize import Minimum
from ..fit.outcome import fit_results, on_cpu
from ..fit.result import FitFailure, FitResult
from ..model.face_model import FaceModel
from ..observe.faces import select_faces
from ..observe.lids import lids_by_masks
from ..observe.observation import Observation
from ..photo.photo import Photo
from ..scene.parameters import Parameters
from .descent import Together, descend_together
from .landmark_stage import solve_together
from .people import (
    STRANGER,
    UNLIKE,
    Reference,
    distances,
    like_reference,
    nearest_distance,
    same_person,
)
from .photos import PersonPhoto
from .sharing import Sharing
from .stillness import stillness

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Member:
    """A photo that shows the person.

    Attributes:
        photo: where its pixels are.
        result: its fit, whose picture is blank: so many photos are not held in memory. `whole` has the pixels.
        observation: what is fitted.
        known_lens: its focal length was given, or is in its EXIF.
        single: status of its own fit.
    """

    photo: PersonPhoto
    result: FitResult
    observation: Observation
    known_lens: bool
    single: str

    @property
    def turned(self) -> float:
        """Radians by which the head is turned from the camera's axis."""
        return float(self.result.parameters.rotvec.norm())

    def whole(self) -> FitResult:
        """The result with the photo's pixels, read again. Raises ImageError: it has changed meanwhile."""
        pixels = self.photo.read().pixels
        if pixels.shape != self.result.photo.shape:
            raise FitError(f"{self.photo.name}: was changed while it was fitted")
        return replace(self.result, photo=pixels)


@dataclass(frozen=True)
class LeftOut:
    """A photo that is not part of the person: its name, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Person:
    """One person.

    Attributes:
        model: the face model that was fitted, on the CPU.
        members: the photos, in the order given; what they share is the same in all.
        left_out: the other photos.
        sharing: what is shared.
        seconds: of the stages.
        surface: what shading adds to the model's own surface; None with one photo, or where it was not wanted. It is in
            the `model` of the members' results already.
    """

    model: FaceModel
    members: tuple[Member, ...]
    left_out: tuple[LeftOut, ...]
    sharing: Sharing
    seconds: dict[str, float] = field(default_factory=dict)
    surface: RefinedSurface | None = None

    @property
    def parameters(self) -> Parameters:
        """Of all photos, as one batch."""
        return Parameters.cat([member.result.parameters for member in self.members])

    @property
    def best(self) -> Member:
        """The most frontal photo."""
        return min(self.members, key=lambda member: member.turned)


@dataclass(frozen=True)
class PersonFitter:
    """How photos become a person.

    Attributes:
        instruments: what photos are looked at and fitted with.
        faces: which face of each photo, "largest" or its number. focal: pixels; fov: degrees.
        sharing: what the photos have in common.
        like: the person, to tell others by; None: whoever is on most photos.
        keep_all: nobody is left out as another person.
        detail: refine the surface by shading.
    """

    instruments: Instruments
    faces: str | int = "largest"
    focal: float | None = None
    fov: float | None = None
    sharing: Sharing = field(default_factory=Sharing)
    like: Reference | None = None
    keep_all: bool = False
    detail: bool = True

    def fit(self, photos: Sequence[PersonPhoto], progress: Progress | None = None) -> Person:
        """Fit the person.

        A single photo gives what `facefit.fit.fit.fit_photo` gives.

        Args:
            progress: called with the stage, the step and the number of steps.
        Raises:
            NoFaceError: no photo could be fitted; the first reason is in the message.
        """
        began = time.perf_counter()
        members, left_out = self._single_fits(photos, progress)
        seconds = {"single fits": time.perf_counter() - began}
        if not members:
            reason = f": {left_out[0].name}: {left_out[0].reason}" if left_out else ""
            raise NoFaceError(f"none of {len(photos)} photos shows a face that could be fitted{reason}")
        sharing = replace(self.sharing, static=bool(self.sharing.static))
        members, strangers = self._told_apart(members)
        left_out += strangers
        if len(members) > 1:
            began = time.perf_counter()
            members, failed, sharing = self._together(members, progress)
            left_out += failed
            seconds["together"] = time.perf_counter() - began
        surface: RefinedSurface | None = None
        if self.detail and len(members) > 1:
            began = time.perf_counter()
            members, surface = _refined(members, progress)
            seconds["surface"] = time.perf_counter() - began
        order = {photo.name: place for place, photo in enumerate(photos)}
        left_out.sort(key=lambda each: order[each.name])
        return Person(on_cpu(self.instruments.model), tuple(members), tuple(left_out), sharing, seconds, surface)

    def _single_fits(
        self, photos: Sequence[PersonPhoto], progress: Progress | None
    ) -> tuple[list[Member], list[LeftOut]]:
        members: list[Member] = []
        left_out: list[LeftOut] = []
        for place, photo in enumerate(photos):
            if progress is not None:
                progress("single fits", place, len(photos))
            try:
                members.append(self.single(photo))
            except FaceFitError as error:
                logger.info("%s: %s", photo.name, error)
                left_out.append(LeftOut(photo.name, str(error)))
        return members, left_out

    def single(self, photo: PersonPhoto) -> Member:
        """A photo fitted alone. Raises FaceFitError: it has no face, cannot be read or fitted."""
        instruments, picture = self.instruments, photo.read()
        face = select_faces(instruments.detector.detect(picture.pixels), self.faces)[0]
        observation = instruments.observe(picture, face, self.focal, self.fov)
        (result,) = fit_observed(observation, instruments, photo=_blank(picture))
        observation = replace(observation, identity=result.observation.identity.cpu())  # what the fit expected
        known = self.focal is not None or self.fov is not None or picture.focal_pixels is not None
        return Member(photo, result, observation, known, result.status)

    def _told_apart(self, members: list[Member]) -> tuple[list[Member], list[LeftOut]]:
        """The photos of the person and those of others."""
        if self.keep_all or (self.like is None and len(members) < 3):
            return members, []  # of two photos nobody knows which one is the person's
        fits = [member.result.parameters for member in members]
        model, like = on_cpu(self.instruments.model), self.like
        if like is None:
            distance = distances(Parameters.cat(fits), model)
            chosen, limit = same_person(distance), STRANGER
            far = [nearest_distance(distance, chosen, k) for k in range(len(members))]
        else:
            known = replace(fits[0], identity=like.identity, albedo=like.albedo)
            distance = distances(Parameters.cat([known, *fits]), model)
            limit, far = UNLIKE, distance[0, 1:].tolist()
            chosen = like_reference(distance[0, 1:], distance[1:, 1:], limit)
        if not chosen:
            raise NoFaceError(
                f"none of the photos shows the person that --like names: the nearest one is at {min(far):.1f} from "
                f"that, at most {limit:g} is one person; --keep-all takes them all the same"
            )
        whom = "the others" if like is None else "the one that --like names"
        strangers = [
            LeftOut(
                member.photo.name,
                f"another person by shape and colour: at {far[k]:.1f} from {whom}, at most {limit:g} is one person; "
                "--keep-all keeps it",
            )
            for k, member in enumerate(members)
            if k not in chosen
        ]
        return [members[k] for k in chosen], strangers

    def _together(
        self, members: list[Member], progress: Progress | None
    ) -> tuple[list[Member], list[LeftOut], Sharing]:
        """The members under one identity, those on whose face it does not lie being left out, and what they share."""
        instruments, config, sharing = self.instruments, self.instruments.config, self.sharing
        model, device = instruments.model, instruments.device
        observation = Observation.cat([member.observation for member in members]).to(device)
        if "prdl" in config.energies:
            observation = lids_by_masks(observation)
        start = Parameters.cat([member.result.parameters for member in members]).to(device)
        free = torch.zeros(len(members), dtype=torch.bool)
        if sharing.one_lens:
            observation, start = _one_lens(observation, start, members)
            free[:] = not any(member.known_lens for member in members)
        if sharing.static is None:
            found_out = stillness(observation, start, model, config, sharing)
            logger.info("kept still: %s", found_out)
            sharing = replace(sharing, static=found_out.still)
        start = solve_together(observation, start, model, config, sharing)
        found = descend_together(
            observation, start, model, instruments.renderer, config, sharing, free,
            None if progress is None else lambda step, steps, _: progress("together", step, steps),
            instruments.recognition,
        )  # fmt: skip
        results = self._results(observation, found, members)
        kept = [
            replace(member, result=result, observation=result.observation)
            for member, result in zip(members, results, strict=True)
            if isinstance(result, FitResult)
        ]
        failed = [
            LeftOut(member.photo.name, f"with the common identity: {result.error}")
            for member, result in zip(members, results, strict=True)
            if isinstance(result, FitFailure)
        ]
        if not kept:
            raise FitError(f"one identity lies on none of the {len(members)} faces; are the photos of one person?")
        return kept, failed, sharing

    def _results(
        self, observation: Observation, found: Together, members: Sequence[Member]
    ) -> list[FitResult | FitFailure]:
        """One by one: pictures of many faces at once take memory."""
        results = []
        for place, member in enumerate(members):
            seen = replace(observation[[place]], camera=found.camera[[place]])
            config, parameters = self.instruments.config, found.parameters[place]
            objective = Objective(seen, self.instruments.model, self.instruments.renderer, config)
            energies = {name: value[[place]] for name, value in found.energies.items()}
            total = torch.stack(list(energies.values())).sum(0)
            minimum = Minimum(parameters, energies, total, (member.single,), (None,), ((),), (0.0,))
            blank = Photo(member.result.photo, member.photo.path)
            results += fit_results(minimum, objective, [blank], [dict(member.result.seconds)])
        return results


def _one_lens(observation: Observation, start: Parameters, members: Sequence[Member]) -> tuple[Observation, Parameters]:
    """The photos under one focal length relative to their diagonals: the middle of those that are known, or of all.
    Faces go as much further away as the lens is longer, and keep their size in the picture."""
    diagonal = torch.tensor([float(np.hypot(*member.result.photo_size)) for member in members])
    focal = observation.camera.focal
    relative = focal.mean(1).cpu() / diagonal
    known = torch.tensor([member.known_lens for member in members])
    common = relative[known if known.any() else slice(None)].median()
    factor = (common / relative).to(focal)[:, None]
    camera = replace(observation.camera, focal=focal * factor)
    away = torch.cat([torch.ones_like(factor).expand(-1, 2), factor], 1)
    return replace(observation, camera=camera), replace(start, translation=start.translation * away)


def _blank(photo: Photo) -> Photo:
    """A photo of the same size and name whose pixels take no memory."""
    return replace(photo, pixels=np.broadcast_to(np.zeros(1, np.uint8), photo.pixels.shape))


def _refined(members: Sequence[Member], progress: Progress | None) -> tuple[list[Member], RefinedSurface]:
    """The members on the surface that their shading tells of."""

    def wholes() -> Iterator[FitResult]:
        for place, member in enumerate(members):
            if progress is not None:
                progress("surface", place, len(members))
            yield member.whole()

    surface = refine_surface(wholes())
    if not surface.displacement.any() and not surface.wrinkles:
        return list(members), surface
    first = members[0].result
    verts = neutral_verts(first)
    model = displaced_model(first.model, verts, surface.displacement)
    if surface.wrinkles:
        model = wrinkled_model(model, verts, surface.wrinkles)
    return [replace(member, result=replace(member.result, model=model)) for member in members], surface
