"""`facefit convert`: the face of a fit as another kind of file, or in another model's topology."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .options import check_mesh_suffix, file_options


@click.command("convert")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--to", "target", metavar="NAME|FILE",
              help="Another head model: one of `facefit models list`, or a model file (.npz). Without it the face "
                   "stays as it is, in another kind of file.")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MESH",
              help="Mesh to write: .obj (with .mtl and texture), .ply, .glb, .usdz, or .html, a page that shows it; "
                   "a .json beside it.")  # fmt: skip
@click.option("--model", type=click.Path(), metavar="NAME|FILE",
              help="The model that RESULT was fitted with, when it is neither the default one nor installed."
)  # fmt: skip
@click.option("--no-residual", is_flag=True,
              help="With --to: the target's parameters and nothing else, no offsets of vertices beyond them."
)  # fmt: skip
@click.option("--texture-size", type=click.IntRange(16, 8192), metavar="PX",
              help="With --to: side of the new texture in pixels.  [default: 1024]")  # fmt: skip
@file_options
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
def convert(
    result: Path, target: str | None, output: Path, model: str | None, no_residual: bool, texture_size: int | None,
    units: str, quantize: bool, bones: bool, jpeg: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Write the face of a RESULT (its JSON, or the mesh beside it) as another kind of file, or in another model.

    Without --to nothing is fitted: the same mesh and texture as OBJ, PLY, GLB or USD. With --to the new mesh lies over
    the old one; its JSON holds the other model's parameters and the distances in millimetres.

    \b
    Examples:
      facefit convert mesh.json -o face.glb --quantize --jpeg
      facefit convert face.glb -o face.usdz
      facefit convert mesh.json --to ict -o face.obj
      facefit convert mesh.obj --to flame -o flame.glb --no-residual
      facefit convert ict.json --to default -o face.ply
    """
    check_mesh_suffix(output)
    if target is None and (no_residual or texture_size is not None):
        raise click.UsageError(f"{'--no-residual' if no_residual else '--texture-size'} belongs to --to")
    style = {"units": units, "quantize": quantize, "bones": bones, "jpeg": jpeg}
    if target is None:
        _as_file(result, output, model, style, quiet)
    else:
        _as_model(result, target, output, model, not no_residual, style | {"texture_size": texture_size or 1024}, quiet)


def _as_file(result: Path, output: Path, model: str | None, style: dict[str, Any], quiet: bool) -> None:
    """The same face as another kind of file."""
    from ..output.face import load

    face = load(result, model)
    written = face.save(output, **style)
    if not quiet:
        told = "; its texture is gone, the fitted skin takes its place" if face.painted == "skin" else ""
        if "detail" in face.document and face.normals is None:
            told += "; its normal map, which belongs to a finer mesh, is left behind"
        click.echo(f"{', '.join(str(path) for path in written)}: {len(face.model.verts)} vertices{told}")


def _as_model(
    result: Path, target: str, output: Path, model: str | None, residual: bool, style: dict[str, Any], quiet: bool
) -> None:
    """The face in another model's topology."""
    began = time.perf_counter()
    from ..convert.conversion_files import convert_file
    from ..model.catalogue import BUNDLED, resolve
    from ..output.read_back import one_fit

    inputs = [Path(resolve(name)) for name in (target, model) if name not in (None, BUNDLED)]
    try:
        conversion, written = convert_file(
            result, target, output, model=model, residual=residual, inputs=inputs, **style
        )
    except ValueError as error:
        raise click.UsageError(f"--to {target}: {error}") from None
    if quiet:
        return
    told = "; its normal map, which belongs to the other head's texture, is left behind"
    told = told if "detail" in one_fit(result).document else ""
    click.echo(f"{', '.join(str(path) for path in written)}: {len(conversion.result.model.verts)} vertices{told}")
    for name, text in (("components", "parameters alone"), ("residual", "with offsets")):
        if name in conversion.errors:
            click.echo(f"{text}: {_distances(conversion.errors[name])}")
    names = f"{conversion.source.model.name} to {conversion.result.model.name}"
    click.echo(f"{result}: {names} in {time.perf_counter() - began:.1f} s")


def _distances(errors: Mapping[str, Mapping[str, float]]) -> str:
    """Median, mean and 90th percentile both ways."""
    there, back = (errors[name] for name in ("source_to_target", "target_to_source"))
    return "; ".join(
        f"{way} {row['median']:.2f} mm median, {row['mean']:.2f} mean, {row['p90']:.2f} p90"
        for way, row in (("old to new", there), ("new to old", back))
    )
