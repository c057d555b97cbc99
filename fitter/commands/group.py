"""The command line: parse, call facefit, write, print, exit codes. Nothing heavy is imported before a command runs.

Exit codes: 0 done, 2 usage, 3 no face found, 4 unreadable or unusable image, 5 the fit failed, 6 output cannot be
written, 7 some photos of a batch failed, 130 interrupted.
"""

from __future__ import annotations

import difflib
import gc
import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from ..errors import ExitCode
from .batch import batch
from .convert import convert
from .doctor import doctor
from .evaluate import evaluate
from .fit import fit
from .models import models
from .options import CACHE_FIX, NO_CACHE
from .parse import parse
from .person import person
from .retarget import retarget
from .view import view

# Objects made between two searches for garbage. With Python's 700, half a second goes into searching what the imports
# make, which is none.
_COLLECT_EVERY = 50_000


class FacefitGroup(click.Group):
    """`facefit PHOTO ...` is `facefit fit PHOTO ...`, and every error is one line and an exit code."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """As click's, with `fit` in front of a photo. Raises UsageError: a word that is neither photo nor command."""
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
        """As click's. Raises Abort on Ctrl-C."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:  # click itself would print an empty line
            raise click.Abort from None

    def main(self, args=None, prog_name=None, complete_var=None, standalone_mode=True, **extra):
        """As click's. Standalone, it ends the process: with a result's exit code, or one line and that of the error."""
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
            return _fail(f"{error.format_message()} (see `{where} --help`)", ExitCode.USAGE)
        except click.ClickException as error:
            return _fail(error.format_message(), ExitCode.USAGE)
        except (click.Abort, KeyboardInterrupt):
            if sys.stderr.isatty():
                print(file=sys.stderr)  # the terminal has written ^C
            return _fail("interrupted; nothing more was written", ExitCode.INTERRUPTED)
        except BrokenPipeError:
            # the reader of our output went away; python would complain once more while it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 0
        except Exception as error:  # the one place where any failure becomes one line and an exit code
            if "--debug" in args:
                raise
            return _fail(_message(error), getattr(error, "exit_code", ExitCode.FIT_FAILED))


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory {text}".strip()
    if hasattr(error, "exit_code"):
        return text
    if isinstance(error, ImportError):
        return f"{text}; `facefit doctor` says what is missing here"
    if NO_CACHE in text:
        return f"{text}; {CACHE_FIX}"
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
        from ..version import VERSION

        click.echo(f"facefit {VERSION}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (fit, person, batch, convert, retarget, view, evaluate, models, parse, doctor):
    cli.add_command(command)


def _heard_again(ignored: sys.UnraisableHookArgs) -> None:
    """A signal that arrives in a destructor or the like, where Python ignores exceptions, comes once more after it."""
    number = {SystemExit: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(ignored.exc_type)
    if number is None:
        sys.__unraisablehook__(ignored)
        return
    again = threading.Timer(0.01, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def main() -> None:
    """The console script `facefit`."""
    try:
        if hasattr(signal, "SIGTERM"):
            # stopped like Ctrl-C: temporary files go away
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold bytes that are no text
        gc.set_threshold(_COLLECT_EVERY, 20, 50)
        sys.unraisablehook = _heard_again
        cli()
    except KeyboardInterrupt:  # before the command has begun, or after its end
        sys.exit(_fail("interrupted; nothing more was written", ExitCode.INTERRUPTED))
    finally:
        gc.freeze()  # the process ends: its modules need not be searched for garbage once more, which takes .4 s
