"""`facefit fit`: one photo, or a film."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from .options import (
    check_detail_options,
    check_mesh_suffix,
    detail_options,
    input_files,
    load,
    shared_options,
    start,
)
from .sequence import beginnings, fit_frames, take_warm, warm_job, warm_options


@click.command()
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MESH",
              help="Mesh to write: .obj (with .mtl and texture), .ply, .glb, .usdz, or .html, a page that shows it; "
                   "a .json beside it.")  # fmt: skip
@click.option("--overlay", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write a picture: photo, mesh over photo, clay, textured from two sides, parts.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write the mesh's visible parts as labels 0 to 10 in the photo's pixels.")  # fmt: skip
@click.option("--albedo", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write the texture without the light of the photo.")  # fmt: skip
@click.option("--viewer", type=click.Path(path_type=Path), metavar="HTML",
              help="Also write a page that shows the result, without a network.")  # fmt: skip
@detail_options
@warm_options
@shared_options
def fit(
    photo: Path,
    output: Path,
    overlay: Path | None,
    labels: Path | None,
    albedo: Path | None,
    viewer: Path | None,
    **options: Any,
) -> None:
    """Fit the face in PHOTO and write a mesh.

    \b
    Examples:
      facefit portrait.jpg -o mesh.obj
      facefit fit portrait.jpg -o mesh.obj --overlay overlay.png --labels parts.png
      facefit portrait.jpg -o face.html                a page: turn the head, move its face, compare with the photo
      facefit group.jpg -o face.glb --faces all        writes face_1.glb, face_2.glb, ...
      facefit portrait.jpg -o mesh.obj --energies prdl --iterations 200
      facefit portrait.jpg -o mesh.obj --segmentation parser.onnx
      facefit portrait.jpg -o face.glb --detail --texture albedo
      facefit second.jpg -o second.obj --like mesh.json        the same person
      facefit clip.mp4 --sequence -o clip.glb                  one animated mesh
    """
    warm = take_warm(options)
    pictures = {"--overlay": overlay, "--labels": labels, "--albedo": albedo, "--viewer": viewer}
    if warm["sequence"]:
        for name, path in pictures.items():
            if path is not None:
                raise click.UsageError(f"{name} belongs to one photo, not to --sequence")
        if options["detail"]:
            raise click.UsageError("--detail belongs to one photo: frames of a film have folds of their own each")
        fit_frames(photo, output, warm, options)
        return
    check_mesh_suffix(output)
    check_detail_options(options, output)
    for name, path in pictures.items():
        suffix = ".html" if name == "--viewer" else ".png"
        if path is not None and path.suffix.lower() != suffix:
            raise click.UsageError(f"{name} {path}: expected a name that ends in {suffix}")
    start(options)
    began = time.perf_counter()
    # photo and paths before anything heavy is loaded: these are the errors people make
    from ..photo.photo import read_photo

    picture = read_photo(photo)
    from ..job.job import Files, check_files
    from ..output.style import FileStyle
    from .progress import FitProgress

    style = FileStyle(**{name: options[name] for name in ("detail", "exr", "subdivide")})
    files = Files(output, overlay, labels, albedo, viewer, style)
    check_files(files, [photo, *input_files(options), *beginnings(warm)], options["faces"])
    job = warm_job(load(options), warm, picture)
    with FitProgress(photo.name, quiet=options["quiet"]) as progress:
        fitted = job.run(picture, files, progress)
    if options["quiet"]:
        return
    for face in fitted:
        names = ", ".join(str(path) for path in face.paths)
        click.echo(f"{names}: {face.vertices} vertices{_quality(face.summary)}")
    click.echo(f"{photo}: {len(fitted)} face{'s' * (len(fitted) != 1)} in {time.perf_counter() - began:.1f} s")


def _quality(summary) -> str:
    doubt = "; doubtful: it may not lie on the face, look at it" if summary.status == "doubtful" else ""
    text = "" if summary.landmark_error is None else f", landmark error {100 * summary.landmark_error:.1f} %"
    return text + ("" if summary.part_iou is None else f", part IoU {summary.part_iou:.2f}") + doubt
