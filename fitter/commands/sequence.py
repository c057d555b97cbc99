"""`facefit PHOTO --init`, `--like`, and `facefit FRAMES --sequence`: fits that begin where another one ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .options import input_files, load, start

OPTIONS = ("init", "like", "sequence", "fps", "every", "frames", "share_after", "smooth")
OF_SEQUENCES = ("fps", "every", "frames", "share_after", "smooth")


def warm_options(command: Callable) -> Callable:
    """Options of `facefit fit`; their names are in OPTIONS."""
    path = click.Path(path_type=Path)
    options = [
        click.option("--init", type=path, metavar="JSON", help="Go on from an earlier fit of this photo."),
        click.option("--like", type=path, metavar="JSON",
                     help="The same person as in this earlier fit: identity and albedo stay."),
        click.option("--sequence", is_flag=True,
                     help="PHOTO is a video, or a folder of frames, of one person: write one animated .glb."),
        click.option("--fps", type=click.FloatRange(min=0, min_open=True, max=1000), metavar="N",
                     help="Frames a second of a sequence. Without it: what the video says; 25 for a folder."),
        click.option("--every", type=click.IntRange(min=1), metavar="N", help="Take each N-th frame of a sequence."),
        click.option("--frames", type=click.IntRange(min=1), metavar="N", help="Take at most N frames of a sequence."),
        click.option("--share-after", type=click.IntRange(min=1), metavar="N",
                     help="Frames after which identity and albedo are common to all of a sequence (8)."),
        click.option("--smooth", is_flag=True, default=None,
                     help="Still what trembles from frame to frame of a sequence; what moves is left as it is."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def take_warm(options: dict) -> dict:
    """Move the options of this file out of those of `facefit fit`. Raises UsageError for what does not go together."""
    own = {name: options.pop(name) for name in OPTIONS}
    if own["init"] is not None and own["like"] is not None:
        raise click.UsageError("--init and --like are two beginnings; give one of them")
    for name in ("init", "like"):
        if own[name] is not None and options["faces"] == "all":
            raise click.UsageError(f"--{name} is about one face; --faces all fits several")
    if own["sequence"] and own["init"] is not None:
        raise click.UsageError("--init refines the fit of one photo; for a sequence give --like")
    if own["sequence"] and options["faces"] == "all":
        raise click.UsageError("--sequence follows one person; --faces all fits several")
    given = [name for name in OF_SEQUENCES if own[name] is not None]
    if given and not own["sequence"]:
        raise click.UsageError(f"--{given[0].replace('_', '-')} belongs to --sequence")
    return own


def beginnings(own: dict) -> list[Path]:
    """The files that --init and --like name, and the JSON beside a mesh. Raises InputError, before anything is loaded,
    for what is no fit."""
    paths = [own[name] for name in ("init", "like") if own[name] is not None]
    if paths:
        from ..output.read_back import one_fit

        paths += [one_fit(path).path for path in paths]
    return paths


def warm_job(job, own: dict, photo):
    """The job with the beginning that --init or --like name."""
    from dataclasses import replace

    from ..job.beginnings import refined, same_person

    if own["init"] is not None:
        warm, focal = refined(own["init"], job.instruments.model, photo)
        # the fitted pose holds under the fitted camera, unless another one is asked for
        return replace(job, warm=warm, focal=focal if job.focal is None and job.fov is None else job.focal)
    if own["like"] is not None:
        return replace(job, warm=same_person(own["like"], job.instruments.model))
    return job


def fit_frames(source: Path, output: Path, own: dict, options: dict[str, Any]) -> None:
    """`facefit SOURCE --sequence -o OUTPUT`."""
    start(options)
    if options["segmentation"].lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture of labels belongs to one photo")
    began = time.perf_counter()
    from ..files.outputs import check_outputs, write_files
    from ..photo.frames import open_frames
    from ..sequence.animation import sequence_files, sequence_paths

    paths = sequence_paths(output)
    sources = source.iterdir() if source.is_dir() else [source]
    inputs = [path for path in (*sources, *beginnings(own), *input_files(options)) if path.is_file()]
    check_outputs(paths, inputs)
    frames = open_frames(source, own["fps"], own["every"] or 1, own["frames"])
    job = load(options)

    from ..job.beginnings import same_person
    from ..sequence.sequence import SHARE_AFTER, SequenceFitter

    fitter = SequenceFitter(
        job.instruments, job.faces, job.focal, job.fov,
        warm=None if own["like"] is None else same_person(own["like"], job.instruments.model),
        share_after=own["share_after"] or SHARE_AFTER,
    )  # fmt: skip
    report = None if options["quiet"] else _reporter(frames.count())
    sequence = fitter.fit(frames, frames.fps, report)
    if own["smooth"]:
        from ..sequence.smooth import smoothed

        sequence = smoothed(sequence)
    write_files(sequence_files(sequence, output, job.style), inputs)
    if not options["quiet"]:
        fitted = sequence.fitted
        error = sum(frame.landmark_error for frame in fitted) / len(fitted)
        click.echo(f"{', '.join(map(str, paths))}: {len(fitted)} of {len(sequence.frames)} frames fitted, "
                   f"landmark error {100 * error:.1f} %")  # fmt: skip
        click.echo(f"{source}: {time.perf_counter() - began:.1f} s")


def _reporter(total: int | None) -> Callable:
    def report(frame) -> None:
        of = "" if total is None else f"/{total}"
        text = frame.error or f"{frame.status}, landmark error {100 * frame.landmark_error:.1f} %"
        click.echo(f"[{frame.number + 1}{of}] {frame.name}: {text}", err=True)

    return report
