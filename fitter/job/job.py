"""From a photo's path to written files: what `facefit` does to one photo, and `facefit batch` to each of many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..compute.machine import usable_device
from ..compute.threads import beside
from ..errors import ImageError
from ..files.outputs import check_outputs, numbered, write_files
from ..files.picture_bytes import png_bytes
from ..fit.descent import fit_faces
from ..fit.instruments import Instruments, dense_observer
from ..fit.progress import Progress
from ..fit.result import FitResult
from ..fit.summary import Summary
from ..fit.warm_start import WarmStart
from ..model.model_file import load_model
from ..observe.detector import load_detector
from ..observe.recognition import load_recognition
from ..observe.segment.label_picture import LabelImageSegmenter
from ..observe.segment.load import load_segmenter
from ..output.overlay import labels_png, overlay_png
from ..output.style import FileStyle
from ..output.texture_picture import texture_picture
from ..output.viewer_face import result_page
from ..output.write import load_detail, result_files
from ..photo.photo import Photo
from ..render import load_renderer
from .options import JobOptions

MANY = 99  # `--faces all`: so many names are checked before the fit; the detector stops far earlier


@dataclass(frozen=True)
class Files:
    """Where the results of one photo go: the mesh, in what style, and three pictures and a page if wanted."""

    mesh: Path
    overlay: Path | None = None
    labels: Path | None = None
    albedo: Path | None = None
    viewer: Path | None = None
    style: FileStyle = FileStyle()

    def all(self) -> list[Path]:
        """Everything that is written: the mesh and what lies beside it (`FileStyle.paths`), then pictures and page."""
        pictures = (self.overlay, self.labels, self.albedo, self.viewer)
        return [*self.style.paths(self.mesh), *(path for path in pictures if path is not None)]

    def numbered(self, number: int) -> Files:
        """The files of the face with this number: mesh_2.obj, overlay_2.png, ..."""
        return Files(
            numbered(self.mesh, number),
            self.overlay and numbered(self.overlay, number),
            self.labels and numbered(self.labels, number),
            self.albedo and numbered(self.albedo, number),
            self.viewer and numbered(self.viewer, number),
            self.style,
        )


def check_files(files: Files, inputs: Iterable[Path], faces: str = "largest") -> None:
    """Refuse before the fit what could not be written after it: see `check_outputs`. Raises OutputError."""
    inputs = [path for path in inputs if path.exists()]
    wanted = [files.numbered(number) for number in range(1, MANY + 1)] if faces == "all" else [files]
    check_outputs([path for each in wanted for path in each.all()], inputs)


@dataclass(frozen=True)
class WrittenFace:
    """One fitted and written face.

    Attributes:
        paths: what was written, the mesh first.
        vertices: of the mesh.
        summary: what the fit came to.
    """

    paths: list[Path]
    vertices: int
    summary: Summary


@dataclass(frozen=True)
class Job:
    """Everything that stays the same from photo to photo, loaded once. Attributes as the options of `facefit fit`."""

    instruments: Instruments
    faces: str = "largest"
    focal: float | None = None
    fov: float | None = None
    style: FileStyle = FileStyle()
    inputs: tuple[Path, ...] = ()
    warm: WarmStart | None = None

    def run(self, photo: Photo, files: Files, progress: Progress | None = None) -> list[WrittenFace]:
        """Fit one photo and write its results; with faces "all" each face under its number, from the largest.

        Raises:
            FaceFitError: as its subclasses say; the photo's files appear together or not at all.
        """
        files = replace(files, style=self.style)
        check_files(files, [photo.path, *self.inputs], self.faces)
        self._check_segmenter(photo)
        results = fit_faces(
            photo, self.instruments, faces=self.faces, focal=self.focal, fov=self.fov, warm=self.warm,
            progress=progress,
        )  # fmt: skip
        contents: dict[Path, bytes] = {}
        written = []
        for number, result in enumerate(results, start=1):
            own = self.contents(result, files.numbered(number) if self.faces == "all" else files)
            contents |= own
            written.append(WrittenFace(list(own), result.model.verts.shape[0], result.summary))
        write_files(contents, [path for path in (photo.path, *self.inputs) if path.exists()])
        return written

    def contents(self, result: FitResult, files: Files) -> dict[Path, bytes]:
        """All files of one face, the mesh first."""
        contents = result_files(result, files.mesh, self.style)
        if files.overlay is not None:
            contents[files.overlay] = overlay_png(result.scene, result.photo, texture=self.painted(result))
        if files.labels is not None:
            contents[files.labels] = labels_png(result.scene, result.photo_size)
        if files.albedo is not None:
            contents[files.albedo] = png_bytes(texture_picture(result, self.style.texture_size, "albedo"))
        if files.viewer is not None:
            detail = load_detail(result, self.style.texture_size) if self.style.detail else None
            page = result_page(
                result, self.painted(result), files.viewer.stem, self.style.space,
                normals=None if detail is None else detail.normals,
            )  # fmt: skip
            contents[files.viewer] = page
        return contents

    def painted(self, result: FitResult) -> np.ndarray:
        """(T, T, 3) uint8: the texture that the files carry."""
        return texture_picture(result, self.style.texture_size, self.style.texture)

    def _check_segmenter(self, photo: Photo) -> None:
        """A picture of labels belongs to one photo. Raises ImageError: to one of another size."""
        segmenter = self.instruments.segmenter
        if isinstance(segmenter, LabelImageSegmenter) and segmenter.photo_size != (photo.width, photo.height):
            width, height = segmenter.photo_size
            raise ImageError(
                f"{segmenter.path}: a label picture of {width} x {height} pixels; expected the "
                f"{photo.width} x {photo.height} of {photo.path} (upright, as it is shown)"
            )


def load_job(options: JobOptions) -> Job:
    """Load the model, the detector, the segmenter and the renderer.

    Raises:
        ValueError: an option's value is not accepted, or there is no such device. ModelError: as `load_model`.
    """
    return Job(
        instruments=load_instruments(options),
        faces=options.faces,
        focal=options.focal,
        fov=options.fov,
        style=FileStyle(**{name: getattr(options, name) for name in FileStyle.__dataclass_fields__}),
        inputs=options.inputs(),
    )


def load_instruments(options: JobOptions) -> Instruments:
    """What the options name, on the device that they mean. Raises as `load_job`."""
    config = options.config()
    device = usable_device(options.device, options.renderer)
    segmenter = beside(lambda: load_segmenter(options.segmentation, options.label_map))
    detector = beside(load_detector)
    model = load_model(options.model, device)
    return Instruments(
        model=model,
        segmenter=segmenter.result(),
        detector=detector.result(),
        renderer=load_renderer(options.renderer, device),
        config=config,
        dense=dense_observer(model, config),
        recognition=None if options.perceptual is None else load_recognition(options.perceptual, device),
    )
