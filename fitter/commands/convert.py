"""`facefit convert`: the face of a fit in another model's topology."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from .options import check_mesh_suffix, file_options


@click.command("convert")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--to", "target", required=True, metavar="NAME|FILE",
              help="The model to convert to: one of `facefit models list`, or a model file (.npz).")  # fmt: skip
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MESH",
              help="Mesh to write: .obj (with .mtl and texture), .ply, .glb, or .html, a page that shows it; "
                   "a .json beside it.")  # fmt: skip
@click.option("--model", type=click.Path(), metavar="NAME|FILE",
              help="The model that RESULT was fitted with, when it is neither the default one nor installed."
)  # fmt: skip
@click.option("--no-residual", is_flag=True,
              help="The target's parameters and nothing else: no offsets of vertices beyond them.")  # fmt: skip
@click.option("--texture-size", type=click.IntRange(16, 8192), default=1024, show_default=True, metavar="PX",
              help="Side of the texture in pixels.")  # fmt: skip
@file_options
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
def convert(
    result: Path, target: str, output: Path, model: str | None, no_residual: bool, texture_size: int, units: str,
    quantize: bool, jpeg: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Give the face of a RESULT (its JSON, or the mesh beside it) in another model's topology, and say how near it is.

    The new mesh lies over the old one. Its JSON holds the other model's parameters and the distances in millimetres.

    \b
    Examples:
      facefit convert mesh.json --to ict -o face.obj
      facefit convert mesh.obj --to flame -o flame.glb --no-residual
      facefit convert ict.json --to default -o face.ply
    """
    check_mesh_suffix(output)
    from ..errors import InputError
    from ..job.beginnings import one_fit

    fit = one_fit(result)
    from ..convert.conversion_files import conversion_files, source_files, source_model
    from ..files.outputs import check_outputs, write_files
    from ..model.catalogue import BUNDLED, resolve
    from ..model.model_file import load_model
    from ..output.paths import output_paths
    from ..output.read_back import load_scene
    from ..output.write import FileStyle

    wanted = load_model(target)
    inputs = [*source_files(fit), *(Path(resolve(name)) for name in (target, model) if name not in (None, BUNDLED))]
    check_outputs(output_paths(output), inputs)
    used = source_model(fit, model)
    if used.checksum == wanted.checksum:
        raise click.UsageError(f"--to {target}: {fit.path} is in that model already")
    began = time.perf_counter()
    from ..convert.convert import convert as run

    try:
        conversion = run(load_scene(fit, used), wanted, residual=not no_residual)
    except ValueError as error:
        raise InputError(f"{fit.path}: {error}") from None
    style = FileStyle(texture_size=texture_size, units=units, quantize=quantize, jpeg=jpeg)
    files = conversion_files(conversion, fit, output, style)
    written = write_files(files, inputs)
    if quiet:
        return
    click.echo(f"{', '.join(str(path) for path in written)}: {len(conversion.result.model.verts)} vertices")
    for name, text in (("components", "parameters alone"), ("residual", "with offsets")):
        if name in conversion.errors:
            click.echo(f"{text}: {_distances(conversion.errors[name])}")
    click.echo(f"{fit.path}: {used.name} to {wanted.name} in {time.perf_counter() - began:.1f} s")


def _distances(errors: Mapping[str, Mapping[str, float]]) -> str:
    """Median, mean and 90th percentile both ways."""
    there, back = (errors[name] for name in ("source_to_target", "target_to_source"))
    return "; ".join(
        f"{way} {row['median']:.2f} mm median, {row['mean']:.2f} mean, {row['p90']:.2f} p90"
        for way, row in (("old to new", there), ("new to old", back))
    )
