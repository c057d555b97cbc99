"""What is done to a person of a batch: all their photos to one head, with the files and the figures of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import FaceFitError, ImageError
from ..fit.result import FitResult
from ..job.job import Job
from ..person.files import PersonFiles, person_contents
from ..person.person import Person, PersonFitter
from ..person.photos import MOST, PersonPhoto
from ..person.sharing import Sharing
from ..photo.photo import Photo, read_photo
from ..rig.personal import personal_shapes
from .names import beside
from .options import PeopleOptions
from .plan import Task
from .thumbnails import thumbnail_jpg

logger = logging.getLogger(__name__)


def fit_task(task: Task, job: Job, options: PeopleOptions) -> Person:
    """The person of a task. Raises as `PersonFitter.fit`; ImageError: more photos than a person may have."""
    if len(task.photos) > MOST:
        raise ImageError(f"{len(task.photos)} photos in one group; a person has up to {MOST}")
    fitter = PersonFitter(
        job.instruments, job.faces, job.focal, job.fov, Sharing(options.static, options.one_lens),
        keep_all=options.keep_all, detail=options.detail,
    )  # fmt: skip
    return fitter.fit([PersonPhoto(photo.key, photo.path, problem=photo.problem) for photo in task.photos])


def task_contents(person: Person, task: Task, job: Job, overlays: bool) -> dict[str, bytes]:
    """Name in the output folder -> content, the mesh first, the small picture of the contact sheet last."""
    mesh = Path(task.mesh)

    def card(best: FitResult, texture: np.ndarray) -> bytes:
        return thumbnail_jpg(best.scene, best.photo, texture)

    files = PersonFiles(
        mesh, overlays_folder(mesh) if overlays else None, style=job.style, shapes=personal_shapes,
        further={Path(thumbnail_name(task.mesh)): card},
    )  # fmt: skip
    contents = person_contents(person, files)
    return {path.as_posix(): data for path, data in contents.items()}


def overlays_folder(mesh: Path) -> Path:
    """people/ann.glb -> people/ann_overlays"""
    return mesh.with_name(f"{mesh.stem}_overlays")


def thumbnail_name(mesh: str) -> str:
    """people/ann.glb -> people/ann_thumbnail.jpg"""
    return beside(PurePosixPath(mesh), "thumbnail", ".jpg").as_posix()


def figures(person: Person) -> dict:
    """What the manifest says of a person, as of a face."""
    each = [member.result.summary for member in person.members]
    doubtful = sum(one.status == "doubtful" for one in each)
    return {
        "face": 1,
        "status": "doubtful" if 2 * doubtful >= len(each) else person.best.result.status,
        "error": None,
        "energies": {name: _sum([one.energies.get(name) for one in each]) for name in each[0].energies},
        "part_iou": _mean([one.part_iou for one in each]),
        "landmark_error": _mean([one.landmark_error for one in each]),
    }


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return math.fsum(known) / len(known) if known else None


def first_photo(task: Task) -> Photo | None:
    """The first one that can be read, to be shown where no person was found."""
    for photo in task.photos:
        try:
            return read_photo(photo.path)
        except FaceFitError as error:
            logger.debug("%s: %s", photo.key, error)
    return None
