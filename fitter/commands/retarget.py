"""`facefit retarget`: the motion of one person on the rig of another, and as a CSV of ARKit's weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import glb_options

if TYPE_CHECKING:
    from ..rig.clip import Clip

SUFFIXES = (".glb", ".csv")


@click.command("retarget")
@click.argument("clip", type=click.Path(path_type=Path))
@click.option(
    "--rig",
    type=click.Path(path_type=Path),
    metavar="RESULT",
    help="Who is to move: the .json of a fit, a person or a sequence, or the .glb or .obj beside it.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="An animated .glb, or a .csv of ARKit's weights as Live Link Face writes it.",
)
@click.option(
    "--csv", "table", type=click.Path(path_type=Path), metavar="CSV", help="Write the weights too, beside a .glb."
)
@click.option(
    "--neutral",
    default="auto",
    show_default=True,
    metavar="auto|none|N",
    help="What CLIP shows at rest and is subtracted: found, nothing, or its N-th frame (the first is 1).",
)
@click.option(
    "--fps",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    metavar="N",
    help="Frames a second of a folder of fits (25), or of a CSV whose timecodes do not count.",
)
@click.option(
    "--model",
    type=click.Path(),
    metavar="NAME|FILE",
    help="The face model of CLIP and RESULT, when it is neither the default one nor installed.",
)
@glb_options
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
def retarget(
    clip: Path, rig: Path | None, output: Path, table: Path | None, neutral: str, fps: float | None,
    model: str | None, quantize: bool, bones: bool, jpeg: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Put the expression, gaze and head motion of a CLIP on another person's face.

    CLIP is what `facefit VIDEO --sequence` wrote (.json, or the .glb beside it), a folder of fits of one person by
    name, one fit, or a CSV of Live Link Face. Eyes and lips that are closed in it are closed on the other face.

    \b
    Examples:
      facefit retarget clip.glb --rig person.glb -o out.glb
      facefit retarget take.csv --rig mesh.json -o out.glb
      facefit retarget clip.json -o take.csv
    """
    began = time.perf_counter()
    kind = output.suffix.lower()
    if kind not in SUFFIXES:
        raise click.UsageError(f"-o {output}: a moving face is written as {' or '.join(SUFFIXES)}")
    if kind == ".glb" and rig is None:
        raise click.UsageError(f"-o {output}: whose face is to move? name it with --rig")
    if table is not None and (kind != ".glb" or table.suffix.lower() != ".csv"):
        raise click.UsageError(f"--csv {table}: a .csv beside a .glb")
    if neutral not in ("auto", "none") and not (neutral.isdecimal() and int(neutral) >= 1):
        raise click.BadParameter(f"{neutral!r}; accepted: auto, none, or the number of a frame from 1", None, None,
                                 "--neutral")  # fmt: skip
    from ..files.outputs import check_outputs, write_files

    written = [output, *([table] if table else [])]
    sources = sorted(path for path in clip.iterdir() if path.is_file()) if clip.is_dir() else [clip]
    inputs = [*sources, *([Path(model)] if model else [])]
    check_outputs(written, [path for path in inputs if path.exists()])

    from ..rig.heads import read_head

    head = None if rig is None else read_head(rig)
    if head is not None:
        inputs += head.files()
    moved, read = _clip(clip, fps, model)
    inputs += read
    check_outputs(written, [path for path in inputs if path.exists()])
    rest = _rest(moved, neutral, clip)

    from dataclasses import replace

    from ..rig.live_link import live_link_csv
    from ..rig.retarget import calibrated
    from ..rig.retarget import retarget as put

    contents: dict[Path, bytes] = {}
    missing: list[str] = []
    if head is None:
        shown = replace(moved, weights=calibrated(moved, rest))
    else:
        from ..convert.conversion_files import source_model
        from ..errors import InputError
        from ..output.style import FileStyle
        from ..rig.clip_files import animated_rig
        from ..rig.retarget import rig_of

        theirs = source_model(head.fit, model)
        try:
            target = rig_of(theirs, head.neutral(theirs), head.moves(theirs))
        except ValueError as error:
            raise InputError(f"{rig}: {error}") from None
        shown = put(moved, target, rest)
        missing = [name for name in moved.names if name not in target.model.expression_names]
        if kind == ".glb":
            style = FileStyle(quantize=quantize, bones=bones, jpeg=jpeg)
            contents[output] = animated_rig(shown, target, head.texture(), style)
    where = output if kind == ".csv" else table
    if where is not None:
        contents[where] = live_link_csv(shown)
    write_files(contents, inputs)
    if quiet:
        return
    if missing:
        click.echo(f"{rig}: has no {', '.join(missing)}; left out", err=True)
    click.echo(f"{', '.join(map(str, contents))}: {len(shown.seconds)} frames, {shown.seconds[-1]:.1f} s")
    click.echo(f"{clip}: {time.perf_counter() - began:.1f} s")


def _clip(path: Path, fps: float | None, model: str | None) -> tuple[Clip, list[Path]]:
    """The clip, and the files that it was read from."""
    if path.suffix.lower() == ".csv" and not path.is_dir():
        from ..rig.live_link import read_live_link

        return read_live_link(path, fps), [path]
    from ..convert.conversion_files import source_model
    from ..errors import InputError
    from ..output.read_back import FitFile, find_fits
    from ..vocabulary import MESH_SUFFIXES

    beside = path.with_suffix(".json") if path.suffix.lower() in MESH_SUFFIXES else path
    try:
        if not path.is_dir() and beside.is_file() and _is_sequence(beside):
            from ..rig.clip import clip_of_fits
            from ..sequence.animation import read_frames

            if fps is not None:
                raise click.UsageError(f"--fps {fps:g}: {beside} says when its frames were")
            read = read_frames(beside)
            used = source_model(FitFile(beside, read.document, beside.stem), model)
            return clip_of_fits(used, read.parameters, read.seconds, read.camera), [beside]
        from ..rig.fits import clip_of_files

        fits = sorted(find_fits([path]), key=lambda fit: fit.name)
        clip = clip_of_files(fits, source_model(fits[0], model), fps)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    return clip, [file for fit in fits for file in fit.files()]


def _is_sequence(path: Path) -> bool:
    from ..files.schema import parse, read_text

    document = parse(read_text(path), str(path))
    return isinstance(document, dict) and document.get("format") == "facefit-sequence"


def _rest(clip: Clip, neutral: str, path: Path):
    """(T,) what is subtracted."""
    if neutral == "auto":
        return clip.rest()
    if neutral == "none":
        return 0 * clip.weights[0]
    if int(neutral) > len(clip.weights):
        raise click.UsageError(f"--neutral {neutral}: {path} has {len(clip.weights)} frames")
    return clip.weights[int(neutral) - 1].clip(0, 0.9)  # what is whole at rest could not be told from anything
