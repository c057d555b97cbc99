"""What is done to each photo of a batch, in three steps that may happen in different processes or machines:

    prepare   read the photo, find its faces and their parts      (CPU)
    fit       optimise any number of faces together               (CPU or GPU)
    finish    texture, meshes and pictures, written with a record (CPU)

A process that has prepared a photo keeps it (or its name, when it is large), so that only the observation travels to
the fit and only the parameters travel back. Whatever goes wrong in a step becomes that photo's failure; only where no
result can be kept at all, a step raises OutputError.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

import torch

from ..errors import FaceFitError, ImageError
from ..files.outputs import numbered
from ..fit.descent import fit_observed
from ..fit.result import FitFailure
from ..fit.summary import model_block
from ..job.job import Files, Job, load_job
from ..observe.faces import select_faces
from ..observe.observation import Observation
from ..output.read_back import find_fits, load_scene
from ..output.stored_page import stored_texture
from ..photo.photo import Photo, read_photo
from .blame import keeps_nothing, of_machine
from .folder_store import FolderStore
from .manifest import Record, Status
from .names import beside
from .options import BatchOptions, Failure, PeopleOptions
from .people import figures, first_photo, fit_task, task_contents, thumbnail_name
from .plan import Task, stamp
from .store import Store, open_store
from .thumbnails import photo_jpg, thumbnail_jpg
from .travel import FitParcel, fit_result, parcel

logger = logging.getLogger(__name__)

KEPT_PHOTO = 16_000_000  # bytes of pixels; a larger photo is read again instead of being kept during the fit


@dataclass(frozen=True)
class Prepared:
    """A photo and its observed faces (each B = 1, on the CPU), the largest first.

    Attributes:
        photo: None when it is large and is to be read again.
        stages: seconds of each face's steps so far; seconds: of all.
    """

    task: Task
    photo: Photo | None
    faces: tuple[Observation, ...]
    stages: tuple[dict[str, float], ...]
    seconds: float


class Stages:
    """The three steps with everything they need, loaded once in a process."""

    def __init__(self, options: BatchOptions, job: Job, store: Store) -> None:
        self.options, self.job, self.store = options, job, store

    def whole(self, task: Task) -> Record:
        """All three steps of one photo, or all of one person."""
        if self.options.people is not None:
            return self._person(task, self.options.people)
        prepared = self.prepare(task)
        if isinstance(prepared, Record):
            return prepared
        began = time.perf_counter()
        fits = [self.fit([face])[0] for face in prepared.faces]
        share = (time.perf_counter() - began) / len(fits)
        return self.finish(prepared, fits, [share] * len(fits))

    def prepare(self, task: Task) -> Prepared | Record:
        """Read, detect, segment; the record of its failure when that is not possible."""
        if task.past is not None:
            return self._with_thumbnails(task, task.past)
        began = time.perf_counter()
        photo = None
        try:
            if task.problem:
                raise ImageError(task.problem)
            photo = read_photo(task.photo)
            detecting = time.perf_counter()
            job, instruments = self.job, self.job.instruments
            found = select_faces(instruments.detector.detect(photo.pixels), job.faces)
            ends = [time.perf_counter()]
            faces = []
            for face in found:
                faces.append(instruments.observe(photo, face, job.focal, job.fov))
                ends.append(time.perf_counter())
        except Exception as error:  # whatever it is, the other photos are still to be done
            return self._failed(task, failure(error), time.perf_counter() - began, photo)
        kept = photo if photo.pixels.nbytes <= KEPT_PHOTO else None
        stages = tuple(
            {"detection": ends[0] - detecting, "segmentation": end - start} for start, end in itertools.pairwise(ends)
        )
        return Prepared(task, kept, tuple(faces), stages, time.perf_counter() - began)

    def fit(self, faces: Sequence[Observation]) -> list[FitParcel | Failure]:
        """Fit faces together, each on its own. Where that is not possible at all, in halves."""
        try:
            results = fit_observed(Observation.cat(faces), self.job.instruments, failures="return")
            return [failure(r.error) if isinstance(r, FitFailure) else parcel(r) for r in results]
        except Exception as error:  # say, not enough memory for so many
            if len(faces) == 1:
                return [failure(error)]
            logger.info("%d faces together: %s; they are fitted in halves", len(faces), error)
        half = len(faces) // 2
        return self.fit(faces[:half]) + self.fit(faces[half:])

    def finish(self, prepared: Prepared, fits: Sequence[FitParcel | Failure], fit_seconds: Sequence[float]) -> Record:
        """Make and write all files of a photo; its record."""
        began, task = time.perf_counter(), prepared.task
        photo = prepared.photo
        try:
            photo = photo or self._read_again(task)
            contents: dict[str, bytes] = {}
            faces = []
            for number, (observation, fit, seconds) in enumerate(
                zip(prepared.faces, fits, fit_seconds, strict=True), start=1
            ):
                if isinstance(fit, FitParcel):
                    stages = {**prepared.stages[number - 1], **fit.values["seconds"]}
                    fit = replace(fit, values={**fit.values, "seconds": stages})
                face, files = self._face(number, observation, fit, photo, task)
                contents |= files
                faces.append({"face": number, "seconds": round(seconds, 3), **face})
            self.store.write(contents, [path for path in (task.photo, *self.job.inputs) if path.exists()])
        except Exception as error:  # as above
            if keeps_nothing(error):
                raise
            return self._failed(task, failure(error), prepared.seconds + time.perf_counter() - began, photo)
        failures = [fit for fit in fits if isinstance(fit, Failure)]
        why = None
        if failures:
            numbers = ", ".join(str(face["face"]) for face in faces if face["error"])
            why = failures[0].error if len(fits) == 1 else f"face {numbers}: {failures[0].error}"
        spent = prepared.seconds + sum(fit_seconds) + time.perf_counter() - began
        pictures = {face.get("thumbnail") for face in faces}
        outputs = [name for name in contents if name not in pictures]
        return self._remembered(
            replace(
                self._record(task, "failed" if failures else "done", spent),
                exit_code=failures[0].exit_code if failures else 0,
                error=why,
                final=all(fit.final for fit in failures),
                outputs=outputs,
                output_bytes=[len(contents[name]) for name in outputs],
                faces=faces,
            )
        )

    def _person(self, task: Task, options: PeopleOptions) -> Record:
        """Fit and write a person; the record."""
        began = time.perf_counter()
        try:
            person = fit_task(task, self.job, options)
            contents = task_contents(person, task, self.job, self.options.overlay)
            face = figures(person) | {"mesh": task.mesh, "thumbnail": thumbnail_name(task.mesh)}
            self.store.write(contents, [path for path in (*task.files, *self.job.inputs) if path.exists()])
        except Exception as error:  # whatever it is, the other people are still to be done
            if keeps_nothing(error):
                raise
            first = first_photo(task) if self.options.thumbnails else None
            return self._failed(task, failure(error), time.perf_counter() - began, first)
        record = self._record(task, "done", time.perf_counter() - began)
        outputs = [name for name in contents if name != face["thumbnail"]]
        return self._remembered(
            replace(
                record,
                outputs=outputs,
                output_bytes=[len(contents[name]) for name in outputs],
                faces=[{**face, "seconds": record.seconds}],
                left_out=[asdict(each) for each in person.left_out],
            )
        )

    def _face(
        self, number: int, observation: Observation, fit: FitParcel | Failure, photo: Photo, task: Task
    ) -> tuple[dict, dict[str, bytes]]:
        """What the manifest says of a face, and its files."""
        if isinstance(fit, Failure):
            return {"status": "failed", "error": fit.error, "mesh": None}, {}
        result = fit_result(fit, observation, photo, self.job.instruments.model)
        mesh = numbered(Path(task.mesh), number) if self.job.faces == "all" else Path(task.mesh)
        files = Files(
            mesh,
            _beside(mesh, "overlay", ".png") if self.options.overlay else None,
            _beside(mesh, "labels", ".png") if self.options.labels else None,
            _beside(mesh, "albedo", ".png") if self.options.albedo else None,
            mesh.with_suffix(".html") if self.options.viewer and mesh.suffix != ".html" else None,
        )
        contents = {path.as_posix(): data for path, data in self.job.contents(result, files).items()}
        thumbnail = None
        if self.options.thumbnails:
            thumbnail = thumbnail_name(mesh.as_posix())
            contents[thumbnail] = thumbnail_jpg(result.scene, result.photo, self.job.painted(result))
        figures = result.summary
        return {
            "status": figures.status,
            "error": None,
            "mesh": mesh.as_posix(),
            "energies": figures.energies,
            "part_iou": figures.part_iou,
            "landmark_error": figures.landmark_error,
            "thumbnail": thumbnail,
        }, contents

    def _read_again(self, task: Task) -> Photo:
        if stamp(task.photo) != (task.bytes, task.modified):
            raise ImageError(f"{task.photo}: was changed while it was fitted; run again")
        return read_photo(task.photo)

    def _with_thumbnails(self, task: Task, past: Record) -> Record:
        """The past record of a task with the small pictures that it lacks, made from the written fits."""
        faces, contents = [], {}
        try:
            photo = read_photo(task.photo)
            assert isinstance(self.store, FolderStore)  # `plan_batch` asks this of no other
            for face in past.faces:
                if face.get("mesh"):
                    fit = find_fits([_own_mesh(self.store.root, past, face["mesh"])])[0]
                    name = thumbnail_name(face["mesh"])
                    scene = load_scene(fit, self.job.instruments.model.to("cpu"))
                    contents[name] = thumbnail_jpg(scene, photo.pixels, stored_texture(fit, scene))
                    face = {**face, "thumbnail": name}
                faces.append(face)
            self.store.write(contents, [task.photo])
        except Exception as error:  # the fit is there; a sheet without its picture is no failure of it
            if keeps_nothing(error):
                raise
            logger.warning("%s: no thumbnail: %s", task.key, error)
            return past
        return self._remembered(replace(past, faces=faces))

    def _failed(self, task: Task, why: Failure, seconds: float, photo: Photo | None) -> Record:
        record = replace(
            self._record(task, "failed", seconds), exit_code=why.exit_code, error=why.error, final=why.final
        )
        if self.options.thumbnails and photo is not None:
            name = thumbnail_name(task.mesh)
            try:
                self.store.write({name: photo_jpg(photo)}, task.files)
                record = replace(record, thumbnail=name)
            except FaceFitError as error:  # the failure itself is what counts
                logger.debug("%s: %s", name, error)
        return self._remembered(record)

    def _record(self, task: Task, status: Status, seconds: float) -> Record:
        model = model_block(self.job.instruments.model)
        return Record(
            task.key, task.bytes, task.modified, status, seconds=round(seconds, 3),
            settings=self.options.settings or {},
            model={name: model[name] for name in ("name", "version", "checksum")}, photos=task.names,
        )  # fmt: skip

    def _remembered(self, record: Record) -> Record:
        if self.store.workers_remember:
            self.store.remember(record)
        return record


def load_stages(options: BatchOptions, device: str | None = None) -> Stages:
    """Load the model and all else. `device` replaces that of the options. Raises as `load_job`."""
    logging.basicConfig(format="facefit: %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("facefit").setLevel(options.log_level)
    if options.threads:
        torch.set_num_threads(options.threads)
    job = options.job if device is None else replace(options.job, device=device)
    return Stages(options, load_job(job), open_store(options.output))


def _own_mesh(root: Path, record: Record, name: str) -> Path:
    """A mesh that a record of the manifest names, which anybody may have written.

    Raises:
        ValueError: it is none of that photo's results, or lies outside of the folder, also through links.
    """
    path = root / name
    if name not in record.outputs or not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the manifest names the mesh {name!r}, which is no result of this photo")
    return path


def _beside(mesh: Path, word: str, suffix: str) -> Path:
    return Path(beside(PurePosixPath(mesh.as_posix()), word, suffix))


def failure(error: BaseException) -> Failure:
    """An exception as the command line would tell it."""
    text = " ".join(str(error).split()) or type(error).__name__
    final = not of_machine(error)
    if isinstance(error, FaceFitError):
        return Failure(error.exit_code, text, final)
    if isinstance(error, MemoryError):
        return Failure(5, f"not enough memory {error}".strip(), final)
    logger.debug("unexpected", exc_info=error)
    return Failure(5, f"{type(error).__name__}: {text}", final)
