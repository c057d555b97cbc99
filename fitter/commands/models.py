"""`facefit models`: which head models there are, adding one, looking at one, removing one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

DEBUG = click.option("--debug", is_flag=True, hidden=True)
PICTURE = click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PNG", help="Where the picture goes.")


@click.group()
def models() -> None:
    """List, add, show and remove head models; `facefit photo.jpg --model NAME` fits one.

    \b
    Examples:
      facefit models list
      facefit models add ict --download
      facefit models add flame generic_model.pkl
      facefit models show ict -o ict.png
      facefit portrait.jpg -o mesh.obj --model ict
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@DEBUG
def list_models(as_json: bool, debug: bool) -> None:
    """Installed models, and those that can be added, with their licences and sizes."""
    from ..bundled import model_path
    from ..model.catalogue import BUNDLED, KINDS, installed, models_folder
    from .printing import print_table

    here = {BUNDLED: model_path(), **installed()}
    rows = {name: _summary(path) for name, path in here.items()}
    if as_json:
        available = {
            name: {"title": kind.title, "license": kind.license, "home": kind.home, "vertices": kind.vertices,
                   "components": kind.components, "obtain": kind.obtain, "download": kind.download is not None}
            for name, kind in KINDS.items()
        }  # fmt: skip
        click.echo(json.dumps({"folder": str(models_folder()), "installed": rows, "available": available}, indent=1))
        return
    columns = ("name", "model", "licence", "vertices", "components")
    print_table("installed", columns, [
        (name, row["name"], row["license"], f"{row['vertices']:,}", row["components"])
        if "error" not in row else (name, row["error"], "", "", "") for name, row in rows.items()
    ])  # fmt: skip
    click.echo("can be added with `facefit models add NAME PATH`:")
    for name, kind in KINDS.items():
        click.echo(f"  {name:10} {kind.title}; {kind.license}; {kind.vertices} vertices; {kind.components}")
        click.echo(f"  {'':10} {'--download, or ' if kind.download else ''}PATH: {kind.obtain}; {kind.home}")
    click.echo(f"installed models lie in {models_folder()}")


@models.command()
@click.argument("name")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--download", is_flag=True, help="Fetch the original from its publisher, where the licence allows it.")
@click.option("--as", "target", metavar="NAME", help="Name to install it under (default: NAME).")
@click.option("--with", "extras", multiple=True, metavar="WHAT=PATH",
              help="Further files of the original, e.g. texture=FLAME_texture.npz; may be repeated.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a model that is installed under that name.")
@click.option("--renders", type=click.IntRange(0, 2000), default=360, show_default=True, metavar="N",
              help="Random people the landmark detector is calibrated on; 0 leaves it uncalibrated.")  # fmt: skip
@PICTURE
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@DEBUG
def add(
    name: str, path: Path | None, download: bool, target: str | None, extras: tuple[str, ...], overwrite: bool,
    renders: int, output: Path | None, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Convert the original of model NAME at PATH, annotate it by rendering it, and install it.

    Takes a few minutes. The picture of what was found (landmarks, parts) lies beside the model file; look at it.

    \b
    Examples:
      facefit models add ict FaceXModel/
      facefit models add gnm --download
      facefit models add generic head.obj --with blendshapes=shapes/ --as mine
    """
    from ..model.catalogue import check_name, installed

    kind = _kind(name)
    options = _extras(kind, extras)
    target = check_name(target or name)
    if download == (path is not None):
        raise click.UsageError(f"give PATH ({kind.obtain}){' or --download' if kind.download else ''}")
    if download and kind.download is None:
        raise click.UsageError(f"{kind.title} cannot be downloaded for you; get it from {kind.home}: {kind.obtain}")
    if target in installed() and not overwrite:
        raise click.UsageError(f"a model {target!r} is installed; --overwrite replaces it, --as NAME keeps both")
    _check_picture(output)
    if path is not None:
        _check_original(path, options.values(), target, output)
    if not debug:
        import warnings

        warnings.simplefilter("ignore")  # of libraries, to developers

    say = _silent if quiet else lambda line: click.echo(line, err=True)
    if path is None:  # --download
        from ..importers.download import download_folder

        path = _fetch(kind, download_folder(kind.name), quiet)
    say(f"reading {path}")
    from ..importers.read import read_published

    source = read_published(kind.name, path, **options)
    from ..importers.install import install_arrays
    from ..importers.installed import install

    arrays = install_arrays(source, renders=renders, report=say)
    say("where the points lie that a network observes")
    from ..convert.dense_points import with_dense_points
    from ..model.model_file import load_model

    arrays = with_dense_points(arrays, load_model())
    file, picture = install(target, arrays, output)
    if not quiet:
        row = _summary(file)
        click.echo(f"{target}: {row['name']}, {row['vertices']:,} vertices, {row['components']}, {row['license']}")
        click.echo(f"{file} ({file.stat().st_size / 1e6:.1f} MB); look at {picture}")
        click.echo(f"facefit photo.jpg -o mesh.obj --model {target}")


@models.command()
@click.argument("name")
@PICTURE
@DEBUG
def show(name: str, output: Path | None, debug: bool) -> None:
    """Print what model NAME (or a model file) has, and write a picture: parts, landmarks, components as a grid.

    \b
    Examples:
      facefit models show default
      facefit models show ict -o ict.png
    """
    from ..model.catalogue import BUNDLED, resolve

    output = output or Path(f"{Path(name).stem}_model.png")
    _check_picture(output, [] if name == BUNDLED else [resolve(name)])
    from ..model.model_file import load_model

    model = load_model(name)
    from ..importers.installed import write_sheet

    write_sheet(model, output)
    counts = ", ".join(f"{count} {what}" for what, count in model.sizes.items())
    kind = "activations in [0, 1]" if model.activation else "standard deviations"
    about = {
        "name": f"{model.name} {model.version}", "licence": model.license,
        "vertices, triangles": f"{model.verts.shape[0]:,}, {model.faces.shape[0]:,}", "components": counts,
        "expressions": f"{kind}: {', '.join(model.expression_names[:6])}, ...",
        "joints": "none" if model.skeleton is None else ", ".join(model.skeleton.names),
        "parts (vertices)": _parts(model), "observed points": _observed(model), "sha256 of the file": model.checksum,
        **{key: str(value) for key, value in model.provenance.items() if not isinstance(value, (list, dict))},
    }  # fmt: skip
    for key, value in about.items():
        click.echo(f"{key}: {value}")
    click.echo(f"wrote {output}")


@models.command()
@click.argument("name")
@DEBUG
def remove(name: str, debug: bool) -> None:
    """Delete the installed model NAME. The original it was made from is not touched."""
    from ..importers.installed import uninstall

    for path in uninstall(name):
        click.echo(f"removed {path}")


def _kind(name: str):
    from ..model.catalogue import KINDS

    if name not in KINDS:
        import difflib

        close = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise click.UsageError(f"no such model: {name!r}{hint}; accepted: {', '.join(KINDS)}")
    return KINDS[name]


def _extras(kind, extras: tuple[str, ...]) -> dict[str, Path]:
    options = {}
    for text in extras:
        key, _, value = text.partition("=")
        if key not in kind.options or not value:
            accepted = ", ".join(f"{option}=PATH" for option in kind.options) or f"nothing for {kind.name}"
            raise click.UsageError(f"--with {text}: accepted: {accepted}")
        options[key] = Path(value)
    return options


def _check_picture(output: Path | None, inputs: Iterable[Path] = ()) -> None:
    if output is None:
        return
    if output.suffix.lower() != ".png":
        raise click.UsageError(f"-o {output}: expected a name that ends in .png")
    from ..files.outputs import check_outputs

    check_outputs([output], inputs)


def _check_original(path: Path, extras: Iterable[Path], name: str, picture: Path | None) -> None:
    """What is installed is not what it is made from."""
    from ..files.outputs import check_clashes
    from ..model.catalogue import models_folder

    file = models_folder() / f"{name}.npz"
    originals = [each for root in (path, *extras) for each in (root.rglob("*") if root.is_dir() else [root])]
    check_clashes([file, picture or file.with_suffix(".png")], originals)


def _fetch(kind, folder: Path, quiet: bool) -> Path:
    """Download with a bar of megabytes on a terminal, silently elsewhere."""
    from ..importers.download import fetch

    if quiet or not sys.stderr.isatty():
        return fetch(kind.download, folder)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(kind.title, total=kind.download.megabytes * 1e6)

        def progress(received: int, done: int, files: int) -> None:
            bar.update(task, completed=received, description=f"{kind.title}, file {done} of {files}")

        return fetch(kind.download, folder, progress)


def _summary(path: Path) -> dict:
    """What a table says of a model file, without reading its bases."""
    from ..importers.installed import glance

    return glance(path)


def _parts(model) -> str:
    from ..anatomy.parts import LABELS

    label = model.vertex_label.cpu().numpy()
    return ", ".join(f"{LABELS[k]} {int((label == k).sum())}" for k in range(1, 11))


def _observed(model) -> str:
    """How many of the points that a network observes the head knows; without any it is fitted without them."""
    if model.dense_faces is None:
        return "none"
    return f"{int((model.dense_faces >= 0).sum())} of {len(model.dense_faces)}"


def _silent(line: str) -> None:
    return None
