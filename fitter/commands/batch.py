"""`facefit batch`: folders of photos, on all cores, on a GPU, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode, OutputError
from ..vocabulary import GPU_BATCH, MESH_SUFFIXES
from .options import (
    check_detail_options,
    check_library,
    check_person,
    detail_options,
    input_files,
    job_options,
    shared_options,
    start,
)

RESULT_OPTIONS = (  # those that decide what is written
    "faces", "focal", "fov", "preset", "energies", "iterations", "max_seconds", "segmentation", "label_map", "space",
    "texture_size", "texture", "units", "quantize", "bones", "jpeg", "detail", "exr", "subdivide", "model",
    "perceptual",
)  # fmt: skip
# Options that older versions did not have, and their defaults, which are left out: what those did counts as done.
YOUNGER = {
    "texture": "photo", "albedo": False, "viewer": False, "units": "mm", "quantize": False, "bones": False,
    "jpeg": False, "detail": False, "exr": False, "subdivide": 0, "perceptual": None,
}  # fmt: skip


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="PHOTOS...")
@click.option("-o", "--output", required=True, metavar="OUT",
              help="Folder for the meshes and the manifest, made when missing; keeps the subfolders. "
                   "Or a URL that fsspec knows, such as s3://bucket/meshes.")  # fmt: skip
@click.option("--format", "mesh_format", type=click.Choice([suffix[1:] for suffix in MESH_SUFFIXES]), default="obj",
              show_default=True, help="Mesh format.")  # fmt: skip
@click.option("--overlay", is_flag=True, help="Also write NAME_overlay.png for each photo.")
@click.option("--labels", is_flag=True, help="Also write NAME_labels.png for each photo.")
@click.option("--albedo", is_flag=True, help="Also write NAME_albedo.png, the texture without the light of the photo.")
@click.option("--viewer", is_flag=True, help="Also write NAME.html for each face, a page that the contact sheet opens.")
@click.option("--sheet", metavar="HTML", help="Also write a contact sheet of all photos, to scan for bad fits.")
@click.option("--overwrite", is_flag=True, help="Fit photos again that are done already.")
@click.option("--retry-failed", is_flag=True, help="Fit photos again that failed in an earlier run.")
@click.option("--workers", type=click.IntRange(min=0), metavar="N",
              help="Worker processes; 0 works in this one.  [default: as many as cores]")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N",
              help=f"Faces that are fitted together.  [default: {GPU_BATCH} on a GPU, 1 on a CPU]")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="S",
              help="Give a photo up when a step of it takes longer.")  # fmt: skip
@click.option("--ray", is_flag=False, flag_value="auto", metavar="[ADDRESS]",
              help="Work on a Ray cluster: `auto` or none for the one this machine belongs to, `local` for a new one "
                   "here, else its address. --workers then says how many actors.")  # fmt: skip
@click.option("--group-by", metavar="folder|COLUMN",
              help="Make one person of the photos of each folder, or of each value of a list's column.")  # fmt: skip
@click.option("--static/--moving", default=None,
              help="With --group-by: people kept still, or not.  [default: found out]")  # fmt: skip
@click.option("--one-lens", is_flag=True, help="With --group-by: one focal length for all photos of a person.")
@click.option("--keep-all", is_flag=True, help="With --group-by: nobody is left out as another person.")
@click.option("--no-detail", is_flag=True, help="With --group-by: leave the surface as the model has it.")
@detail_options
@shared_options
def batch(
    sources: tuple[str, ...], output: str, mesh_format: str, overlay: bool, labels: bool, albedo: bool,
    viewer: bool, sheet: str | None, overwrite: bool, retry_failed: bool, workers: int | None, batch_size: int | None,
    timeout: float | None, ray: str | None, group_by: str | None, static: bool | None, one_lens: bool, keep_all: bool,
    no_detail: bool, **options: Any,
) -> int:  # fmt: skip
    """Fit every photo of PHOTOS: folders with all below them, 'patterns*', lists (.txt, .csv, .parquet), photos.

    A photo that fails, or even ends its worker process, never stops the rest: OUT/manifest.jsonl and manifest.parquet
    say what happened to each. Run again to go on: photos that are done, unchanged and under the same options, are
    skipped, and failed ones as well without --retry-failed. Ctrl-C finishes the photos under way; a second one does
    not. On a full disk it stops, and goes on at the next run.

    With --group-by each group of photos becomes one head, as `facefit person` makes it.

    \b
    Examples:
      facefit batch photos/ -o meshes/
      facefit batch photos/ -o meshes/ --format glb --faces all --sheet sheet.html
      facefit batch 'photos/**/*_front.JPG' more.csv -o meshes/ --max-seconds 5
      facefit batch photos/ -o meshes/ --retry-failed
      facefit batch /shared/photos -o s3://bucket/meshes --ray
      facefit batch people/ -o heads/ --group-by folder --format glb

    \b
    Exit codes: 0 all done, 6 results cannot be written, 7 some photos failed,
    130 interrupted (what is done is kept); others as `facefit fit`.
    """
    if options["segmentation"].lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture of labels belongs to one photo; use `facefit fit`")
    people = {"static": static, "one_lens": one_lens, "keep_all": keep_all, "no_detail": no_detail}
    if group_by is None:
        _refuse(people | {"static": static, "moving": static is False}, "is for people, who need --group-by")
    else:
        alone = {"labels": labels, "albedo": albedo, "viewer": viewer, "detail": options["detail"]}
        _refuse(alone | {"batch_size": batch_size is not None}, "is for photos, not for the people of --group-by")
        check_person(options)
    check_detail_options(options, Path(f"mesh.{mesh_format}"))
    start(options)
    check_library(f".{mesh_format}")
    from ..batch.clashes import check_batch
    from ..batch.options import BatchOptions, PeopleOptions
    from ..batch.plan import list_batch, plan_batch
    from ..batch.run import Spread, conclude, run_tasks
    from ..batch.store import open_store
    from ..model.catalogue import installed
    from ..photo.photo_list import describe_ignored
    from .progress import BatchProgress, print_records, shown

    job = job_options(options)
    _accepted(job.config)
    settings = {name: options[name] for name in RESULT_OPTIONS}
    settings |= {"overlay": overlay, "labels": labels, "albedo": albedo, "viewer": viewer}
    settings = {name: value for name, value in settings.items() if name not in YOUNGER or value != YOUNGER[name]}
    settings |= {} if group_by is None else {"group_by": group_by, **people}
    store = open_store(output)
    page = None if sheet is None else Path(sheet)
    ignored: list[Path] = []
    photos = list_batch(sources, store, ignored.append, group_by)
    lists = [path for path in map(Path, sources) if path.is_file()]
    check_batch(
        photos,
        [*lists, *input_files(options), *installed().values()],
        store,
        ".html" if viewer else f".{mesh_format}",
        page,
        people=group_by is not None,
    )
    batch_options = BatchOptions(
        job, output, overlay, labels, sheet is not None, albedo, viewer, settings,
        log_level=logging.getLogger("facefit").level,
        people=None if group_by is None else PeopleOptions(static, one_lens, keep_all, not no_detail),
    )  # fmt: skip
    what = "photos" if group_by is None else "people"
    stop = threading.Event()
    with contextlib.ExitStack() as held:
        held.enter_context(store.lock())
        tasks = plan_batch(
            photos, store, f".{mesh_format}", overwrite=overwrite, retry_failed=retry_failed, settings=settings,
            thumbnails=page is not None, people=group_by is not None,
        )  # fmt: skip
        if page is not None:
            from ..batch.sheet import check_sheet

            check_sheet(store, page)
        progress = held.enter_context(BatchProgress(len(tasks), options["quiet"], ignored=len(ignored), what=what))
        if ignored:
            progress.say(shown(describe_ignored(ignored)))
        held.enter_context(_interrupts(stop, progress))
        for task in tasks:
            if task.past is not None and not task.to_do:
                progress.update(task.past, skipped=True)
        open_tasks = [task for task in tasks if task.to_do]
        try:
            if open_tasks:
                spread = Spread(workers, batch_size, timeout, ray)
                for record in _accepted(run_tasks, open_tasks, batch_options, store, stop, spread):
                    progress.update(record)
        except OutputError as error:  # a full disk, say
            with contextlib.suppress(OutputError):
                conclude(store, page)
            left = f"{len(tasks) - progress.seen} of {len(tasks)} {what} are left, run again to go on"
            raise OutputError(f"{error}; {left}") from None
        except BaseException:
            conclude(store, page)
            raise
        if not conclude(store, page):
            progress.say("no manifest.parquet: pip install 'facefit[batch]' brings pyarrow")
    if not options["quiet"]:
        print_records(progress)
    if stop.is_set() and progress.seen < len(tasks):
        click.echo(f"interrupted; {len(tasks) - progress.seen} {what} are left, run again to go on", err=True)
        return ExitCode.INTERRUPTED
    return ExitCode.SOME_FAILED if progress.failed else ExitCode.DONE


def _refuse(given: Mapping[str, bool | None], why: str) -> None:
    """Raises UsageError for the first option that was given."""
    for name, value in given.items():
        if value:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


def _accepted(call: Callable, *arguments: Any) -> Any:
    """What it returns; a value that it does not accept is one of the command line's options."""
    try:
        return call(*arguments)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@contextlib.contextmanager
def _interrupts(stop: threading.Event, progress) -> Iterator[None]:
    """The first Ctrl-C sets `stop`, the second is one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        progress.interject(f"interrupted: the {progress.what} under way are finished; once more to drop them")

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
