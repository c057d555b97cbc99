"""`facefit synth`: pictures of people who do not exist, with everything known."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

_SHARE = click.FloatRange(0, 1)


def _span(context: click.Context, option: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """LOW-HIGH, or one number for both."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", value.strip())
    if not found:
        raise click.BadParameter(f"{value!r}; accepted: LOW-HIGH, or one number")
    return float(found[1]), float(found[2] or found[1])


@click.command("synth")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DATA",
              help="Folder of the data set. What is in it from an earlier run stays.")  # fmt: skip
@click.option("--from", "photo", type=click.Path(path_type=Path), metavar="PHOTO",
              help="Give the face of this photo other expressions instead: --expressions closed-eyes,open-mouth. "
                   "Of the other options --model and --seed count.")  # fmt: skip
@click.option("--people", type=click.IntRange(1, 1_000_000), default=100, show_default=True, metavar="N")
@click.option("--photos-per-person", "photos", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N")
@click.option("--expressions", default="any", show_default=True, metavar="LIST",
              help="Comma list of any, neutral, closed-eyes, wink, open-mouth, frown, smile, or units of the model "
                   "(jawOpen); each photo has one of them.")  # fmt: skip
@click.option("--yaw", type=click.FloatRange(0, 90), default=45.0, show_default=True, metavar="DEGREES",
              help="The most that a head is turned aside.")  # fmt: skip
@click.option("--focal", callback=_span, default="26-135", show_default=True, metavar="MM-MM",
              help="Focal lengths as of a 35 mm camera: a phone held near has 26, a telephoto lens 135.")  # fmt: skip
@click.option("--size", type=click.IntRange(64, 2048), default=256, show_default=True, metavar="PX",
              help="Side of a picture.")  # fmt: skip
@click.option("--hair", type=_SHARE, default=0.9, show_default=True, help="Share of people who are not bald.")
@click.option("--glasses", type=_SHARE, default=0.15, show_default=True, help="Share of photos with glasses.")
@click.option("--hands", type=_SHARE, default=0.1, show_default=True, help="Share with a hand before the face.")
@click.option("--masks", type=_SHARE, default=0.03, show_default=True, help="Share with a mask before the mouth.")
@click.option("--light", type=click.Choice(("any", "soft", "lamp", "back")), default="any", show_default=True)
@click.option("--noise", type=click.FloatRange(0, 0.3), default=0.02, show_default=True,
              help="The most noise, standard deviation of 1.")  # fmt: skip
@click.option("--jpeg", callback=_span, metavar="LOW-HIGH", help="Write JPEG of these qualities instead of PNG.")
@click.option("--mesh", type=click.Choice(("none", "npz", "obj")), default="none", show_default=True,
              help="Keep each mesh: its vertices in the .npz, or an .obj.")  # fmt: skip
@click.option("--model", type=click.Path(), metavar="NAME|FILE",
              help="Another head model: one of `facefit models list`, or a model file (.npz).")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N")
@click.option("--workers", type=click.IntRange(1, 256), metavar="N",
              help="Processes. The pictures are the same whatever their number.  [default: 1; with --ray, as many as "
                   "the cluster has cores]")  # fmt: skip
@click.option("--ray", is_flag=False, flag_value="auto", metavar="[ADDRESS]",
              help="Work on a Ray cluster, as `facefit batch` does; all its machines see OUT under the same "
                   "path.")  # fmt: skip
@click.option("--shards", type=click.IntRange(1, 2000), metavar="N",
              help="Also write tars of N pictures each, as WebDataset reads them.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
@click.pass_context
def synth(context: click.Context, output: Path, photo: Path | None, expressions: str, focal, jpeg, workers: int | None,
          ray: str | None, shards: int | None, quiet: bool, debug: bool, **options) -> None:  # fmt: skip
    """Draw pictures of people who do not exist, with their parts, landmarks, depth, normals, texture coordinates and
    parameters (docs/synthetic.md).

    Picture N depends on the options, the seed and N alone. The same command goes on where it was stopped, and with a
    larger --people adds to what is there.

    \b
    Examples:
      facefit synth -o data --people 1000 --workers 4
      facefit synth -o winks --people 200 --expressions wink,closed-eyes
      facefit synth -o tars --people 500 --jpeg 60-95 --shards 250
      facefit synth -o edited --from photo.jpg --expressions closed-eyes,open-mouth,frown
    """
    named = tuple(name.strip() for name in expressions.split(",") if name.strip())
    if photo is not None:
        _check_alone(context)
        _edit(photo, output, tuple(dict.fromkeys(named)), options["model"], options["seed"], quiet)
        return
    from ..synth.dataset import make_dataset
    from ..synth.options import SynthOptions

    whole = None if jpeg is None else (round(jpeg[0]), round(jpeg[1]))
    try:
        wanted = SynthOptions(expressions=named, focal=focal, jpeg=whole, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    cores, pools = 1, None
    if ray is not None:
        from ..batch.ray_workers import connect, python_path, resources
        from ..synth.pools import RayPool

        cores, _ = resources(ray)
        pools = partial(RayPool, connect(ray), path=python_path())
    with _Count(quiet) as count:
        made = make_dataset(output, wanted, workers or cores, shards, count.made, pools=pools)
    if not quiet:
        there = wanted.count - made
        new = f"{made} made, {there} were there" if there else f"{made} made"
        click.echo(f"{output}: {wanted.count} pictures of {wanted.people} people ({new}); see its README.md")


def _check_alone(context: click.Context) -> None:
    """Raises UsageError: an option beside --from that says nothing about it."""
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and option.name not in ("output", "photo", "expressions", "model", "seed", "quiet", "debug"):
            raise click.UsageError(f"{option.opts[0]} says nothing about --from")


def _edit(path: Path, output: Path, named: tuple[str, ...], model: str | None, seed: int, quiet: bool) -> None:
    from ..errors import OutputError
    from ..files.outputs import check_outputs, write_files
    from ..job.job import load_instruments
    from ..job.options import JobOptions
    from ..photo.photo import read_photo
    from ..synth.edit_photo import check_edits, edit_names, edit_photo

    options = JobOptions(model=model)
    photo = read_photo(path)
    instruments = load_instruments(options)
    try:
        check_edits(named, instruments.model)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: {error.strerror or error}") from None
    names = edit_names(path, output, named)
    inputs = [path, *options.inputs()]
    check_outputs(names, inputs)
    contents = edit_photo(photo, named, instruments, seed)
    for name in write_files(dict(zip(names, contents, strict=True)), inputs):
        if not quiet and name.suffix == ".png":
            click.echo(name)


class _Count(AbstractContextManager):
    """How far it is: one line on a terminal that is written over, nothing elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._stream = sys.stderr
        self._shown = not quiet and self._stream.isatty()

    def __exit__(self, *error: object) -> None:
        if self._shown:
            self._stream.write("\n")

    def made(self, done: int, count: int) -> None:
        """Show that `done` pictures of `count` are there."""
        if self._shown:
            self._stream.write(f"\r{done} of {count} pictures")
            self._stream.flush()
