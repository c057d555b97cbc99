"""The command line: parse, call fitter, write, print, exit codes. Nothing heavy is imported before a command runs.

Exit codes: 0 done, 2 usage, 3 no face found, 4 unreadable or unusable image, 5 the fit failed, 6 output cannot be
written, 7 some photos of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import difflib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fitter.commands_eval import evaluate

USAGE, NO_FACE, BAD_IMAGE, FIT_FAILED, BAD_OUTPUT, SOME_FAILED, INTERRUPTED = 2, 3, 4, 5, 6, 7, 130
PRESETS = ("default", "paper", "fast")
RENDERERS = ("auto", "nvdiffrast", "cpu")
RESULT_OPTIONS = (
    "faces", "focal", "fov", "preset", "energies", "iterations", "max_seconds", "seed", "segmentation", "label_map",
    "space", "texture_size", "model",
)  # fmt: skip  (the options of a batch that decide what is written)
TABLE_ROWS = 60  # a longer batch table shows its failures only


class FacefitGroup(click.Group):
    """`facefit PHOTO ...` is `facefit fit PHOTO ...`, and every error is one line and an exit code."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            first = args[0]
            word = not first.startswith("-") and not Path(first).suffix and os.sep not in first
            if word and not os.path.exists(first):
                close = difflib.get_close_matches(first, self.commands, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; commands: {', '.join(self.commands)}"
                raise click.UsageError(f"no such photo or command: {first!r}{hint}", context)
            args = ["fit", *args]
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except KeyboardInterrupt:  # click itself would print an empty line
            raise click.Abort from None

    def main(self, args=None, prog_name=None, complete_var=None, standalone_mode=True, **extra):  # noqa: D102
        args = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(args, prog_name or "facefit", complete_var, standalone_mode=False, **extra)
        sys.exit(self._run(args, prog_name or "facefit", complete_var, extra))

    def _run(self, args: list[str], prog_name: str, complete_var: str | None, extra: dict) -> int:
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            return code if isinstance(code, int) else 0
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else prog_name
            return _fail(f"{error.format_message()} (see `{where} --help`)", USAGE)
        except click.ClickException as error:
            return _fail(error.format_message(), USAGE)
        except (click.Abort, KeyboardInterrupt):
            if sys.stderr.isatty():
                print(file=sys.stderr)  # the terminal has written ^C
            return _fail("interrupted; nothing more was written", INTERRUPTED)
        except BrokenPipeError:
            # the reader of our output went away; python would complain once more while it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        except Exception as error:  # the one place where any failure becomes one line and an exit code
            if "--debug" in args:
                raise
            return _fail(_message(error), getattr(error, "exit_code", FIT_FAILED))


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory {text}".strip()
    if hasattr(error, "exit_code"):
        return text
    if isinstance(error, ImportError):
        return f"{text}; `facefit doctor` says what is missing here"
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _fail(text: str, code: int) -> int:
    print("facefit: error:", " ".join(text.split()), file=sys.stderr)
    return code


def _shared_options(command: Callable) -> Callable:
    """What `fit` and `batch` have in common; the first of the list is the first in the help."""
    options = [
        click.option("--faces", default="largest", metavar="largest|all|N", show_default=True, callback=_check_faces,
                     help="Which faces: the largest, all (each file gets _1, _2, ... from the largest), or the N-th."),
        click.option("--focal", type=click.FloatRange(min=0, min_open=True), metavar="PX",
                     help="Focal length in photo pixels. Without it: --fov, EXIF, or a portrait lens."),
        click.option("--fov", type=click.FloatRange(0.1, 170), metavar="DEGREES",
                     help="Field of view across the width."),
        click.option("--preset", type=click.Choice(PRESETS), default="default", show_default=True,
                     help="Set of tuning values; `paper` has the weights of the PRDL paper."),
        click.option("--energies", metavar="LIST", help="Comma list of the energies to use, e.g. landmark,prdl."),
        click.option("--iterations", type=click.IntRange(min=1), metavar="N", help="Most iterations of the full fit."),
        click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
                     help="Stop after this time."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
                     help="Of every random choice."),
        click.option("--renderer", type=click.Choice(RENDERERS), default="auto", show_default=True, help="Rasteriser."),
        click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda",
                     help="Where tensors live."),
        click.option("--segmentation", default="auto", show_default=True, metavar="auto|polygons|FILE",
                     help="auto, polygons (landmarks alone), a face parser (.onnx), or a picture of labels (.png)."),
        click.option("--label-map", default="auto", show_default=True, metavar="NAME",
                     help="What the numbers of a parser or picture mean, e.g. celebamask19."),
        click.option("--space", type=click.Choice(("model", "camera")), default="model", show_default=True,
                     help="Mesh upright and facing +z, or as the camera sees it."),
        click.option("--texture-size", type=click.IntRange(16, 8192), default=1024, show_default=True, metavar="PX",
                     help="Side of the texture in pixels."),
        click.option("--model", type=click.Path(), metavar="FILE", help="Another face model (.npz)."),
        click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Log what happens."),
        click.option("--debug", is_flag=True, help="Log everything; show tracebacks."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _check_faces(context: click.Context, option: click.Parameter, value: str) -> str:
    value = value.strip().lower()
    if value not in ("largest", "all") and not (value.isdecimal() and int(value) >= 1):
        raise click.BadParameter(f"{value!r}; accepted: largest, all, or a number from 1")
    return value


@click.group(cls=FacefitGroup, no_args_is_help=False, invoke_without_command=True,
             context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})  # fmt: skip
@click.option("--version", is_flag=True, is_eager=True, help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context, version: bool) -> None:
    """Fit a 3D face model to one photo and write a textured mesh.

    `facefit PHOTO -o MESH` is short for `facefit fit PHOTO -o MESH`.

    \b
    Examples:
      facefit portrait.jpg -o mesh.obj
      facefit portrait.jpg -o mesh.glb --overlay overlay.png
      facefit batch photos/ -o meshes/
      facefit doctor

    \b
    Exit codes: 0 done, 2 usage, 3 no face found, 4 unreadable or unusable
    image, 5 the fit failed, 6 output cannot be written, 7 some photos of a
    batch failed, 130 interrupted.
    """
    if version:
        from fitter.version import facefit_version

        click.echo(f"facefit {facefit_version()}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MESH",
              help="Mesh to write: .obj (with .mtl and texture), .ply or .glb; a .json beside it.")  # fmt: skip
@click.option("--overlay", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write a picture: photo, mesh over photo, geometry, render, parts.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write the mesh's visible parts as labels 0 to 10 in the photo's pixels.")  # fmt: skip
@_shared_options
def fit(photo: Path, output: Path, overlay: Path | None, labels: Path | None, **options: Any) -> None:
    """Fit the face in PHOTO and write a mesh.

    \b
    Examples:
      facefit portrait.jpg -o mesh.obj
      facefit fit portrait.jpg -o mesh.obj --overlay overlay.png --labels parts.png
      facefit group.jpg -o face.glb --faces all        writes face_1.glb, face_2.glb, ...
      facefit portrait.jpg -o mesh.obj --energies prdl --iterations 200
      facefit portrait.jpg -o mesh.obj --segmentation parser.onnx
    """
    _check_mesh_suffix(output)
    for name, path in (("--overlay", overlay), ("--labels", labels)):
        if path is not None and path.suffix.lower() != ".png":
            raise click.UsageError(f"{name} {path}: expected a name that ends in .png")
    _start(options)
    start = time.perf_counter()
    # photo and paths before anything heavy is loaded: these are the errors people make
    from fitter.image import read_photo

    picture = read_photo(photo)
    from fitter.job import Files, check_files
    from fitter.progress import Progress

    files = Files(output, overlay, labels)
    check_files(files, [photo, *_input_files(options)], options["faces"])
    job = _job(options)
    with Progress(photo.name, quiet=options["quiet"]) as progress:
        fitted = job.run(picture, files, progress)
    if options["quiet"]:
        return
    for face in fitted:
        names = ", ".join(str(path) for path in face.paths)
        click.echo(f"{names}: {face.vertices} vertices{_quality(face)}")
    click.echo(f"{photo}: {len(fitted)} face{'s' * (len(fitted) != 1)} in {time.perf_counter() - start:.1f} s")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT",
              help="Folder for the meshes and manifest.jsonl, made when missing; keeps the subfolders.")  # fmt: skip
@click.option("--format", "mesh_format", type=click.Choice(("obj", "ply", "glb")), default="obj", show_default=True,
              help="Mesh format.")  # fmt: skip
@click.option("--overlay", is_flag=True, help="Also write NAME_overlay.png for each photo.")
@click.option("--labels", is_flag=True, help="Also write NAME_labels.png for each photo.")
@click.option("--overwrite", is_flag=True, help="Fit photos again that are done already.")
@_shared_options
def batch(
    folder: Path, output: Path, mesh_format: str, overlay: bool, labels: bool, overwrite: bool, **options: Any
) -> int:
    """Fit every photo in FOLDER and its subfolders, one after another.

    A photo that fails never stops the rest: a table at the end and OUT/manifest.jsonl say what happened. Run again to
    go on: photos that are done, unchanged and under the same options, are skipped. Exit code 0 when all are done,
    7 when some failed.

    \b
    Examples:
      facefit batch photos/ -o meshes/
      facefit batch photos/ -o meshes/ --format glb --overlay --max-seconds 5
    """
    if options["segmentation"].lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture of labels belongs to one photo; use `facefit fit`")
    _start(options)
    from fitter.batch import plan_batch, run_batch
    from fitter.image import read_photo
    from fitter.job import Files
    from fitter.progress import Progress

    quiet = options["quiet"]
    settings = {name: options[name] for name in RESULT_OPTIONS} | {"overlay": overlay, "labels": labels}
    tasks = plan_batch(folder, output, f".{mesh_format}", overwrite, settings)
    # a missing model is one error and not one per photo; nothing is loaded where nothing is to be done
    job = _job(options) if any(task.done is None for task in tasks) else None

    def work(task) -> list:
        files = Files(
            task.mesh,
            task.mesh.with_name(f"{task.mesh.stem}_overlay.png") if overlay else None,
            task.mesh.with_name(f"{task.mesh.stem}_labels.png") if labels else None,
        )
        with Progress(task.key, quiet=quiet or not sys.stderr.isatty()) as progress:
            return job.run(read_photo(task.photo), files, progress)

    records = []
    try:
        for record in run_batch(tasks, output, work, settings, options["debug"]):
            records.append(record)
            if not quiet:
                text = f"{record.seconds:.1f} s" if record.status == "done" else record.reason or "done before"
                click.echo(f"[{len(records)}/{len(tasks)}] {record.photo}: {record.status}, {text}", err=True)
    finally:
        if records and not quiet:
            _print_table(records)
    return SOME_FAILED if any(record.status == "failed" for record in records) else 0


@cli.command()
@click.option("--model", type=click.Path(), metavar="FILE", help="Examine this face model instead of the default one.")
@click.option("--debug", is_flag=True, hidden=True)
def doctor(model: str | None, debug: bool) -> int:
    """Say what this machine has and lacks, one line each with the fix. Exit code 1 when facefit cannot work here.

    \b
    Example:
      facefit doctor
    """
    from fitter.doctor import BAD, examine

    bad = 0
    for check in examine(model):
        click.echo(str(check))
        bad += check.state == BAD
    click.echo("all is well" if not bad else f"{bad} thing{'s' * (bad > 1)} to mend")
    return 1 if bad else 0


def _start(options: dict) -> None:
    """Checks that need no library, and logging."""
    if options["focal"] is not None and options["fov"] is not None:
        raise click.UsageError("--focal and --fov are two names of one thing; give one of them")
    for path in _input_files(options):
        if Path(path).suffix and not path.is_file():
            raise click.UsageError(f"{path}: no such file")
    level = logging.DEBUG if options["debug"] else logging.INFO if options["verbose"] else logging.ERROR
    logging.basicConfig(format="facefit: %(levelname)s %(name)s: %(message)s", level=logging.WARNING, force=True)
    logging.getLogger("fitter").setLevel(level)
    if level > logging.INFO:
        import warnings

        warnings.simplefilter("ignore")  # of libraries, to developers


def _check_mesh_suffix(output: Path) -> None:
    if output.suffix.lower() not in (".obj", ".ply", ".glb"):
        raise click.UsageError(f"-o {output}: unknown mesh format {output.suffix!r}; accepted: .obj, .ply, .glb")


def _input_files(options: dict) -> tuple[Path, ...]:
    """Files that the options name and that no output may overwrite."""
    named = (options["model"], options["segmentation"])
    return tuple(Path(name) for name in named if name not in (None, "auto", "polygons"))


def _job(options: dict):
    """Load everything that stays the same from photo to photo."""
    import torch

    from fitter.config import override, preset
    from fitter.job import Job
    from fitter.landmarks import load_detector
    from fitter.model.face_model import load_model
    from fitter.render import load_renderer
    from fitter.segmentation import load_segmenter

    device = options["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() and options["renderer"] != "cpu" else "cpu"
    try:
        device = str(torch.device(device))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise click.UsageError(f"--device {device}: {str(error).splitlines()[0]}") from None
    try:
        energies = options["energies"]
        config = override(
            preset(options["preset"]),
            energies=None if energies is None else tuple(name.strip() for name in energies.split(",") if name.strip()),
            iterations=options["iterations"],
            max_seconds=options["max_seconds"],
            seed=options["seed"],
        )
        segmenter = load_segmenter(options["segmentation"], options["label_map"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    model = load_model(options["model"], device)
    return Job(
        config=config,
        model=model,
        detector=load_detector(),
        segmenter=segmenter,
        renderer=load_renderer(options["renderer"], device),
        device=device,
        faces=options["faces"],
        focal=options["focal"],
        fov=options["fov"],
        space=options["space"],
        texture_size=options["texture_size"],
        inputs=_input_files(options),
    )


def _quality(face) -> str:
    text = "" if face.landmark_error is None else f", landmark error {100 * face.landmark_error:.1f} %"
    return text + ("" if face.part_iou is None else f", part IoU {face.part_iou:.2f}")


def _print_table(records: list) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = {status: sum(record.status == status for record in records) for status in ("done", "skipped", "failed")}
    table = Table(title=", ".join(f"{count} {status}" for status, count in counts.items()), title_justify="left")
    for name in ("photo", "result", "faces", "landmarks %", "part IoU", "s"):
        table.add_column(name, justify="left" if name in ("photo", "result") else "right", overflow="fold")
    shown = records if len(records) <= TABLE_ROWS else [record for record in records if record.status == "failed"]
    for record in shown:
        errors = [face["landmark_error"] for face in record.faces if face["landmark_error"] is not None]
        shares = [face["part_iou"] for face in record.faces if face["part_iou"] is not None]
        result = record.status if record.error is None else f"{record.exit_code}: {record.reason}"
        table.add_row(
            Text(record.photo),
            Text(result),
            str(len(record.faces) or ""),
            f"{100 * sum(errors) / len(errors):.1f}" if errors else "",
            f"{sum(shares) / len(shares):.2f}" if shares else "",
            f"{record.seconds:.1f}" if record.seconds else "",
        )
    Console().print(table)


cli.add_command(evaluate)


def main() -> None:
    """The console script `facefit`."""
    if hasattr(signal, "SIGTERM"):
        # stopped like Ctrl-C: temporary files go away
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    cli()


if __name__ == "__main__":
    main()
