"""`facefit person`: one head from several photos of one person."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import check_mesh_suffix, check_person, input_files, load, shared_options, start

if TYPE_CHECKING:
    import numpy as np

    from ..model.face_model import FaceModel


@click.command()
@click.argument("photos", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PHOTO...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="MESH",
              help="The neutral head: .glb or .usdz (with its expressions), .obj, .ply, or .html, a page "
                   "that shows it; "
                   "a .json beside it.")  # fmt: skip
@click.option("--overlays", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Also write a picture for each photo: photo, mesh over photo, geometry, render, parts.")  # fmt: skip
@click.option("--meshes", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Also write the mesh of each photo as it is posed there, .glb and .json.")  # fmt: skip
@click.option("--sheet", type=click.Path(path_type=Path), metavar="PNG",
              help="Also write one picture of the head from all sides and of all photos.")  # fmt: skip
@click.option("--static/--moving", default=None,
              help="The person kept still, one expression for all photos; or not.  [default: found out]")  # fmt: skip
@click.option("--one-lens", is_flag=True, help="One focal length for all photos; found where nothing tells it.")
@click.option("--like", type=click.Path(path_type=Path), metavar="JSON|PHOTO",
              help="Who the person is: an earlier fit or person, or a photo. Others are left out.")  # fmt: skip
@click.option("--keep-all", is_flag=True, help="All photos show the person, however different the faces are.")
@click.option("--no-detail", is_flag=True, help="Leave the surface as the model has it, without what shading tells.")
@click.option("--adapt", is_flag=True,
              help="Adapt the expressions to six photos or more with some, where held-out ones gain.")  # fmt: skip
@click.option("--every", type=click.IntRange(min=1), metavar="N", help="Take each N-th frame of a video.")
@shared_options
def person(
    photos: tuple[Path, ...], output: Path, overlays: Path | None, meshes: Path | None, sheet: Path | None,
    static: bool | None, one_lens: bool, like: Path | None, keep_all: bool, no_detail: bool, adapt: bool,
    every: int | None, **options: Any,
) -> None:  # fmt: skip
    """Fit one person to several photos: folders, lists, 'patterns*', photos, videos.

    Identity and albedo are common to all photos; pose, expression, gaze and light are each photo's own. Photos without
    a face and photos of other people are named and left out.

    \b
    Examples:
      facefit person ann_1.jpg ann_2.jpg ann_3.jpg -o ann.glb
      facefit person photos/ann/ -o ann.glb --sheet ann.png
      facefit person clip.mp4 -o ann.glb --every 15
      facefit person photos/ -o ann.glb --like ann_passport.json
    """
    check_mesh_suffix(output)
    if sheet is not None and sheet.suffix.lower() != ".png":
        raise click.UsageError(f"--sheet {sheet}: expected a name that ends in .png")
    check_person(options)
    if adapt and (static or output.suffix.lower() in (".obj", ".ply")):
        why = "--static leaves no expressions" if static else f"a {output.suffix} holds no expressions"
        raise click.UsageError(f"--adapt: {why} to adapt")
    if options["segmentation"].lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture of labels belongs to one photo")
    start(options)
    began = time.perf_counter()
    from ..files.outputs import check_outputs, write_files
    from ..person.files import PersonFiles, person_contents
    from ..person.people import Reference
    from ..person.person import PersonFitter
    from ..person.photos import PersonPhoto, person_photos
    from ..person.reference import read_reference
    from ..person.sharing import Sharing
    from ..photo.photo_list import PHOTO_SUFFIXES
    from ..rig.adapt import Adapted, adapted_shapes, shown_by
    from ..rig.personal import personal_shapes
    from .progress import FitProgress, shown

    found = person_photos(photos, every)
    if every is not None and not any(photo.frame is not None for photo in found):
        raise click.UsageError("--every belongs to a video; none is among the PHOTOS")
    files = PersonFiles(output, overlays, meshes, sheet)
    known = read_reference(like) if like is not None and like.suffix.lower() not in PHOTO_SUFFIXES else None
    read = [*(photo.path for photo in found), *(path for path in (*photos, *filter(None, [like])) if path.is_file()),
            *(known.files() if known is not None else []), *input_files(options)]  # fmt: skip
    folders = [folder for folder in (overlays, meshes) if folder is not None]
    check_outputs(files.all([photo.name for photo in found]), [path for path in read if path.is_file()], folders)
    job = load(options)
    fitter = PersonFitter(
        job.instruments, options["faces"], job.focal, job.fov, Sharing(static, one_lens),
        keep_all=keep_all, detail=not no_detail,
    )  # fmt: skip
    if known is not None:
        fitter = replace(fitter, like=known.load(job.instruments.model))
    elif like is not None:
        fitter = replace(fitter, like=Reference.of(fitter.single(PersonPhoto(like.name, like)).result.parameters))
    with FitProgress(output.name, quiet=options["quiet"]) as progress:
        fitted = fitter.fit(found, lambda stage, step, steps: progress(stage, step, steps, {}))
    adapted: list[Adapted] = []

    def shapes(model: FaceModel, neutral: np.ndarray) -> np.ndarray:
        carried = personal_shapes(model, neutral)
        if not adapt:
            return carried
        adapted.append(adapted_shapes(model, neutral, carried, [shown_by(member.result) for member in fitted.members]))
        return adapted[0].shapes

    files = replace(files, style=job.style, shapes=shapes)
    write_files(person_contents(fitted, files), [path for path in read if path.is_file()], folders)
    for each in fitted.left_out:
        click.echo(f"left out: {shown(each.name)}: {shown(each.reason)}", err=True)
    for found_shapes in adapted:
        click.echo(f"--adapt: {found_shapes.sentence}", err=True)
    if options["quiet"]:
        return
    count = len(fitted.members)
    seconds = time.perf_counter() - began
    what = f"{count} photo{'s' * (count != 1)} of {len(found)}{_still(fitted)}{_surface(fitted)}"
    click.echo(f"{output}: {what}, {seconds:.1f} s")


def _still(fitted) -> str:
    return ", one expression" if fitted.sharing.static and len(fitted.members) > 1 else ""


def _surface(fitted) -> str:
    surface = fitted.surface
    if surface is None:
        return ""
    if surface.trust.share is None:
        return ", surface as the model has it: light does not explain the photos"
    if surface.amplitude == 0:
        return ", surface as the model has it: what some photos tell of it others do not bear out"
    words = "refined by shading" if surface.trust.diverse else "few or similar lights, refined cautiously"
    folding = [name for name, test in surface.tests.items() if not test.why]
    return f", surface {words}{', wrinkles of ' if folding else ''}{', '.join(folding)}"
