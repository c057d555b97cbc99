"""The command line: parse, call facefit, write, print, exit codes. Nothing heavy is imported before a command runs.

Exit codes: 0 done, 2 usage, 3 no face found, 4 unreadable or unusable image, 5 the fit failed, 6 output cannot be
written, 7 some photos of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from facefit.commands_batch import batch
from facefit.commands_convert import convert
from facefit.commands_eval import evaluate
from facefit.commands_models import models
from facefit.commands_options import check_mesh_suffix, input_files, shared_options, start
from facefit.commands_options import load as _job
from facefit.commands_parse import parse
from facefit.commands_sequence import beginnings, fit_frames, take_warm, warm_job, warm_options

USAGE, NO_FACE, BAD_IMAGE, FIT_FAILED, BAD_OUTPUT, SOME_FAILED, INTERRUPTED = 2, 3, 4, 5, 6, 7, 130


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
        from facefit.version import facefit_version

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
@warm_options
@shared_options
def fit(photo: Path, output: Path, overlay: Path | None, labels: Path | None, **options: Any) -> None:
    """Fit the face in PHOTO and write a mesh.

    \b
    Examples:
      facefit portrait.jpg -o mesh.obj
      facefit fit portrait.jpg -o mesh.obj --overlay overlay.png --labels parts.png
      facefit group.jpg -o face.glb --faces all        writes face_1.glb, face_2.glb, ...
      facefit portrait.jpg -o mesh.obj --energies prdl --iterations 200
      facefit portrait.jpg -o mesh.obj --segmentation parser.onnx
      facefit second.jpg -o second.obj --like mesh.json        the same person
      facefit clip.mp4 --sequence -o clip.glb                  one animated mesh
    """
    warm = take_warm(options)
    if warm["sequence"]:
        for name, path in (("--overlay", overlay), ("--labels", labels)):
            if path is not None:
                raise click.UsageError(f"{name} belongs to one photo, not to --sequence")
        fit_frames(photo, output, warm, options)
        return
    check_mesh_suffix(output)
    for name, path in (("--overlay", overlay), ("--labels", labels)):
        if path is not None and path.suffix.lower() != ".png":
            raise click.UsageError(f"{name} {path}: expected a name that ends in .png")
    start(options)
    began = time.perf_counter()
    # photo and paths before anything heavy is loaded: these are the errors people make
    from facefit.photo.photo import read_photo

    picture = read_photo(photo)
    from facefit.job.job import Files, check_files
    from facefit.progress import Progress

    files = Files(output, overlay, labels)
    check_files(files, [photo, *input_files(options), *beginnings(warm)], options["faces"])
    job = warm_job(_job(options), warm, picture)
    with Progress(photo.name, quiet=options["quiet"]) as progress:
        fitted = job.run(picture, files, progress)
    if options["quiet"]:
        return
    for face in fitted:
        names = ", ".join(str(path) for path in face.paths)
        click.echo(f"{names}: {face.vertices} vertices{_quality(face)}")
    click.echo(f"{photo}: {len(fitted)} face{'s' * (len(fitted) != 1)} in {time.perf_counter() - began:.1f} s")


@cli.command()
@click.option("--model", type=click.Path(), metavar="FILE", help="Examine this face model instead of the default one.")
@click.option("--debug", is_flag=True, hidden=True)
def doctor(model: str | None, debug: bool) -> int:
    """Say what this machine has and lacks, one line each with the fix. Exit code 1 when facefit cannot work here.

    \b
    Example:
      facefit doctor
    """
    from facefit.doctor import BAD, examine

    bad = 0
    for check in examine(model):
        click.echo(str(check))
        bad += check.state == BAD
    click.echo("all is well" if not bad else f"{bad} thing{'s' * (bad > 1)} to mend")
    return 1 if bad else 0


def _quality(face) -> str:
    text = "" if face.landmark_error is None else f", landmark error {100 * face.landmark_error:.1f} %"
    return text + ("" if face.part_iou is None else f", part IoU {face.part_iou:.2f}")


cli.add_command(batch)
cli.add_command(convert)
cli.add_command(evaluate)
cli.add_command(models)
cli.add_command(parse)


def main() -> None:
    """The console script `facefit`."""
    if hasattr(signal, "SIGTERM"):
        # stopped like Ctrl-C: temporary files go away
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    cli()


if __name__ == "__main__":
    main()
