"""From a photo's path to written files: what `facefit` does to one photo, and `facefit batch` to each of many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compute.machine import usable_device
from ..errors import ImageError
from ..files.numbers import finite
from ..files.outputs import check_outputs, numbered, write_files
from ..fit.fit import fit_photo
from ..output.overlay import labels_png, overlay_png
from ..output.write import output_paths, result_files
from ..photo.photo import Photo
from .options import JobOptions

if TYPE_CHECKING:
    from ..fit.result import FitResult

ProgressCall = Callable[[str, int, int, dict], None]

MANY = 99  # `--faces all`: so many names are checked before the fit; the detector stops far earlier


@dataclass(frozen=True)
class Files:
    """Where the results of one photo go: the mesh, and two pictures if wanted."""

    mesh: Path
    overlay: Path | None = None
    labels: Path | None = None

    def all(self) -> list[Path]:
        return [*output_paths(self.mesh), *(path for path in (self.overlay, self.labels) if path is not None)]

    def numbered(self, number: int) -> Files:
        """The files of the face with this number: mesh_2.obj, overlay_2.png, ..."""
        return Files(*(path and numbered(path, number) for path in (self.mesh, self.overlay, self.labels)))


def check_files(files: Files, inputs: Iterable[Path], faces: str = "largest") -> None:
    """Refuse before the fit what could not be written after it: see `check_outputs`. Raises OutputError."""
    inputs = [path for path in inputs if path.exists()]
    wanted = [files.numbered(number) for number in range(1, MANY + 1)] if faces == "all" else [files]
    check_outputs([path for each in wanted for path in each.all()], inputs)


@dataclass(frozen=True)
class Fitted:
    """One fitted and written face.

    Attributes:
        paths: what was written, the mesh first.
        vertices: of the mesh.
        energies: final value of each energy.
        part_iou: mean over the parts that are seen, or None.
        landmark_error: share of the distance between the outer eye corners, or None.
        status: why the fit stopped.
    """

    paths: list[Path]
    vertices: int
    energies: dict[str, float | None]
    part_iou: float | None
    landmark_error: float | None
    status: str


@dataclass(frozen=True)
class Job:
    """Everything that stays the same from photo to photo, loaded once. Attributes as the options of `facefit fit`."""

    config: Any
    model: Any
    detector: Any
    segmenter: Any
    renderer: Any
    device: str = "cpu"
    faces: str = "largest"
    focal: float | None = None
    fov: float | None = None
    space: str = "model"
    texture_size: int = 1024
    inputs: tuple[Path, ...] = ()
    warm: Any = None  # facefit.fit.warm_start.WarmStart

    def run(self, photo: Photo, files: Files, progress: ProgressCall | None = None) -> list[Fitted]:
        """Fit one photo and write its results; with faces "all" each face under its number, from the largest.

        Raises:
            FaceFitError: as its subclasses say; the photo's files appear together or not at all.
        """
        check_files(files, [photo.path, *self.inputs], self.faces)
        size = getattr(self.segmenter, "photo_size", None)
        if size is not None and size != (photo.width, photo.height):
            raise ImageError(
                f"{self.segmenter.path}: a label picture of {size[0]} x {size[1]} pixels; expected the "
                f"{photo.width} x {photo.height} of {photo.path} (upright, as it is shown)"
            )
        results = fit_photo(
            photo, self.config, model=self.model, faces=self.faces, focal=self.focal, fov=self.fov,
            segmenter=self.segmenter, detector=self.detector, renderer=self.renderer, device=self.device,
            warm=self.warm, progress=progress,
        )  # fmt: skip
        contents: dict[Path, bytes] = {}
        fitted = []
        for number, result in enumerate(results, start=1):
            own = self.contents(result, files.numbered(number) if self.faces == "all" else files)
            contents |= own
            fitted.append(_fitted(result, list(own)))
        write_files(contents, [path for path in (photo.path, *self.inputs) if path.exists()])
        return fitted

    def contents(self, result: FitResult, files: Files) -> dict[Path, bytes]:
        """All files of one face, the mesh first."""
        contents = result_files(result, files.mesh, space=self.space, texture_size=self.texture_size)
        if files.overlay is not None:
            contents[files.overlay] = overlay_png(result)
        if files.labels is not None:
            contents[files.labels] = labels_png(result)
        return contents


def _fitted(result: FitResult, paths: list[Path]) -> Fitted:
    shares = [value for value in result.part_iou.values() if value is not None]
    return Fitted(
        paths=paths,
        vertices=result.model.verts.shape[0],
        energies={name: finite(value) for name, value in result.energies.items()},
        part_iou=finite(sum(shares) / len(shares)) if shares else None,
        landmark_error=finite(result.landmark_error),
        status=result.status,
    )


def load_job(options: JobOptions) -> Job:
    """Load the model, the detector, the segmenter and the renderer.

    Raises:
        ValueError: an option's value is not accepted, or there is no such device. ModelError: as `load_model`.
    """
    # imported here: each of them is patched or replaced on its own in tests and by users
    from ..model.model_file import load_model
    from ..observe.detector import load_detector
    from ..observe.segment.load import load_segmenter
    from ..render import load_renderer

    config = options.config()
    device = usable_device(options.device, options.renderer)
    segmenter = load_segmenter(options.segmentation, options.label_map)
    model = load_model(options.model, device)
    return Job(
        config=config,
        model=model,
        detector=load_detector(),
        segmenter=segmenter,
        renderer=load_renderer(options.renderer, device),
        device=device,
        faces=options.faces,
        focal=options.focal,
        fov=options.fov,
        space=options.space,
        texture_size=options.texture_size,
        inputs=options.inputs(),
    )
