"""Do the fits of the plan: one photo after another in each process, every figure written as soon as it is there."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.dataset import Case, read_scan
from benchmarks.processes import one_thread_each
from benchmarks.report.corruption import CORRUPTIONS, generator
from benchmarks.report.runs import Run, Work
from facefit.files.outputs import write_files
from facefit.files.picture_bytes import jpg_bytes
from facefit.fit.config import FitConfig

logger = logging.getLogger(__name__)
PANEL = 192  # pixels, of the pictures
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Task:
    """What holds for all fits.

    Attributes:
        config: the default settings. out: the folder of figures and pictures.
        segmentation: as the command line's option. model: a model file, None for the default one.
    """

    config: FitConfig
    out: Path
    segmentation: str = "auto"
    model: Path | None = None


def figures_path(out: Path, run: Run, case: Case) -> Path:
    return out / "figures" / run.name / case.set / f"{case.name}.json"


def picture_path(out: Path, run: Run, case: Case) -> Path:
    return out / "pictures" / run.name / case.set / f"{case.name}.jpg"


def pictured(run: Run, case: Case) -> bool:
    """Whether a picture of this fit is kept: all fits as a user gets them, and landmarks alone for closed eyes."""
    return run == Run("full") or (run.corruption != "none" and run.variant == "full") or (
        run == Run("landmark") and case.set in ("blinks", "synthetic")
    )  # fmt: skip


def fingerprint(task: Task) -> str:
    """Changes with the fitter, its data and the settings: figures of two versions are never mixed."""
    digest = hashlib.sha256(json.dumps([asdict(task.config), task.segmentation, str(task.model)], default=str).encode())
    files = sorted([*(ROOT / "fitter").rglob("*.py"), *(p for p in (ROOT / "data").iterdir() if p.suffix != ".md")])
    for path in files:
        if path.is_file():
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def read_figures(out: Path, work: list[Work]) -> dict[str, dict[str, dict]]:
    """run name -> "set/name" -> figures, of all fits of the plan that are done."""
    found: dict[str, dict[str, dict]] = {}
    for item in work:
        for run in item.runs:
            path = figures_path(out, run, item.case)
            if path.is_file():
                found.setdefault(run.name, {})[f"{item.case.set}/{item.case.name}"] = json.loads(path.read_text())
    return found


class Worker:
    """Everything that is loaded once per process."""

    def __init__(self, task: Task) -> None:
        from facefit.model.model_file import load_model
        from facefit.observe.dense import load_dense
        from facefit.observe.detector import load_detector
        from facefit.observe.segment.load import load_segmenter
        from facefit.render import load_renderer

        self.task = task
        self._mean_faces: dict[Path, dict[str, float]] = {}
        self.model, self.renderer = load_model(task.model), load_renderer("cpu")
        self.detector, self.segmenter = load_detector(), load_segmenter(task.segmentation)
        self.dense = load_dense()

    def do(self, work: Work) -> int:
        """Make the fits of one photo that are not there yet; returns how many. A fit that fails is a figure too."""
        todo = [run for run in work.runs if not figures_path(self.task.out, run, work.case).is_file()]
        self._seen: dict[str, tuple] = {}
        for run in todo:
            about = {"set": work.case.set, "group": work.case.group, "run": run.name}
            picture = None
            try:
                figures, picture = self._fit(work.case, run)
            except Exception as error:  # a photo that fails is a figure; the others go on
                logger.debug("%s", traceback.format_exc())
                where = traceback.extract_tb(error.__traceback__)[-1]
                figures = {"error": f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"}
            files = {figures_path(self.task.out, run, work.case): json.dumps(about | figures, indent=1).encode()}
            if picture is not None:
                files[picture_path(self.task.out, run, work.case)] = jpg_bytes(picture, 88)
            for path in files:
                path.parent.mkdir(parents=True, exist_ok=True)
            write_files(files)
        return len(todo)

    def _fit(self, case: Case, run: Run) -> tuple[dict, np.ndarray | None]:
        from benchmarks.report.parts import mask_figures, part_figures
        from benchmarks.report.surface import worst_zone
        from benchmarks.scoring import score
        from facefit.fit.fit import fit_batch
        from facefit.output.overlay import overlay

        began = time.perf_counter()
        change = CORRUPTIONS[run.corruption]
        clean = self._observation(case, "none")[1]
        photo, spoilt, seconds, depth = self._observation(case, run.corruption if change.photo else "none")
        if change.observation is not None:
            spoilt = self._looked_again(change.observation(spoilt, generator(case.name)), depth)
        config = run.config(self.task.config)
        result = fit_batch(spoilt, self.model, config, self.renderer, photo=photo, seconds=dict(seconds))[0]
        whole = time.perf_counter() - began
        # distances to a scan take longer than the fit: not where the question is one of parts
        scored = case if run.corruption == "none" else replace(case, scan=None)
        figures = {**score(scored, result), **part_figures(case, result, clean), "seconds_whole": whole}
        if run == Run("full"):
            figures |= mask_figures(case, result)
            if case.scan is not None:
                figures |= self._mean_face(case.scan) | {"scan_where": worst_zone(result, read_scan(case.scan))}
        return figures, overlay(result.scene, result.photo, panel=PANEL) if pictured(run, case) else None

    def _looked_again(self, spoilt, depth: np.ndarray):
        """The observation with points and normals as they are seen there: landmarks and masks say where to look."""
        import torch

        landmarks = np.concatenate([spoilt.landmarks[0].numpy(), depth[:, None]], 1)
        seen = self.dense.look(spoilt.image[0].numpy(), landmarks, spoilt.valid[0].numpy())
        points, normals = (torch.from_numpy(value)[None] for value in seen)
        return replace(spoilt, dense_points=points, dense_normals=normals)

    def _mean_face(self, path: Path) -> dict[str, float]:
        """What the model's mean face is worth on this scan."""
        from benchmarks.scoring import mean_face_figures

        if path not in self._mean_faces:
            found = mean_face_figures(self.model, read_scan(path))
            self._mean_faces[path] = {f"mean_face_{align}": found[f"scan_{align}"] for align in ("similarity", "rigid")}
        return self._mean_faces[path]

    def _observation(self, case: Case, corruption: str):
        """Photo, observation, seconds and the landmarks' depth in the window, made once per photo and change of it."""
        from facefit.observe.faces import select_faces
        from facefit.observe.observe import observe
        from facefit.photo.photo import read_photo

        if corruption not in self._seen:
            began = time.perf_counter()
            photo = read_photo(case.photo)
            change = CORRUPTIONS[corruption].photo
            if change is not None:
                face = select_faces(self.detector.detect(photo.pixels), "largest")[0]
                photo = change(photo, face.landmarks, generator(case.name))
                began = time.perf_counter()
            face = select_faces(self.detector.detect(photo.pixels), "largest")[0]
            detected = time.perf_counter()
            observation = observe(photo, face, self.segmenter, self.task.config.window, dense=self.dense)
            seconds = {"detection": detected - began, "segmentation": time.perf_counter() - detected}
            depth = face.depth * float(observation.window.scale[0])
            self._seen[corruption] = photo, observation, seconds, depth
        return self._seen[corruption]


_worker: Worker | None = None


def _begin(task: Task) -> None:
    global _worker
    import torch

    torch.set_num_threads(1)
    _worker = Worker(task)


def _do(work: Work) -> int:
    return _worker.do(work)


def fit_all(task: Task, work: list[Work], jobs: int, say: Callable[[str], None] = print) -> float:
    """Make every fit that is not there yet, in `jobs` processes of one thread each; returns the seconds it took."""
    began = time.perf_counter()
    todo = [item for item in work if any(not figures_path(task.out, run, item.case).is_file() for run in item.runs)]
    # the photos with most fits first, so that no process is left with a long one at the end
    todo.sort(key=lambda item: -len(item.runs))
    count = sum(len(item.runs) for item in work)
    say(f"{count} fits of {len(work)} photos; {len(todo)} photos to do")
    for number, item in enumerate(_done(task, todo, jobs), start=1):
        say(f"[{number}/{len(todo)}, {time.perf_counter() - began:.0f} s] {item.case.set}/{item.case.name}")
    return time.perf_counter() - began


def _done(task: Task, todo: list[Work], jobs: int) -> Iterator[Work]:
    if not todo:
        return
    with one_thread_each(jobs, _begin, task) as pool:
        waiting = {pool.submit(_do, item): item for item in todo}
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]
