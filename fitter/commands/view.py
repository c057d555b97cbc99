"""`facefit view`: a result that was written earlier, as a page that shows it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("view")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="HTML",
              help="Page to write.  [default: beside RESULT, under its name]")  # fmt: skip
@click.option("--photo", type=click.Path(path_type=Path),
              help="The photo, when it is no longer where it was.")  # fmt: skip
@click.option("--model", type=click.Path(), metavar="NAME|FILE",
              help="The model that RESULT was fitted with, when it is neither the default one nor installed."
)  # fmt: skip
@click.option("--pages", is_flag=True, help="Of a batch: also write NAME.html for each face that has none.")
@click.option("--open", "show", is_flag=True, help="Show it in the browser.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
def view(
    result: Path, output: Path | None, photo: Path | None, model: str | None, pages: bool, show: bool, quiet: bool,
    debug: bool,
) -> None:  # fmt: skip
    """Write one HTML page that shows a RESULT: a JSON that facefit wrote (of a photo, a sequence, a conversion, a
    person) or the mesh beside it, or the folder of a batch, whose page is its contact sheet.

    The page needs no network and no other file. Without the photo, which is looked for where it was fitted, it shows
    the head alone. `facefit PHOTO -o face.html` writes such a page at once.

    \b
    Examples:
      facefit view mesh.json
      facefit view clip.glb -o clip.html --open
      facefit view meshes/ --pages
    """
    if output is not None and output.suffix.lower() != ".html":
        raise click.UsageError(f"-o {output}: expected a name that ends in .html")
    from ..files.outputs import check_outputs, write_files

    if result.is_dir():
        output = _sheet(result, output or result / "sheet.html", pages, model)
    else:
        if pages:
            raise click.UsageError("--pages belongs to the folder of a batch")
        from ..output.stored_head import find_head
        from ..sequence.stored_page import is_sequence

        page = output or result.with_suffix(".html")
        pieces = _sequence if is_sequence(result) else _face if find_head(result) is None else _head
        contents, inputs = pieces(result, page, photo, model, check_outputs)
        write_files({page: contents}, inputs)
        output = page
    if not quiet:
        click.echo(output)
    if show:
        click.launch(str(output))


def _face(result: Path, page: Path, photo: Path | None, model: str | None, check) -> tuple[bytes, list[Path]]:
    from ..convert.conversion_files import source_files
    from ..output.read_back import one_fit, source_model
    from ..output.stored_page import stored_page

    fit = one_fit(result)
    inputs = [*source_files(fit), *([photo] if photo else [])]
    check([page], inputs)
    return stored_page(fit, source_model(fit, model), page.stem, photo), inputs


def _sequence(result: Path, page: Path, photo: Path | None, model: str | None, check) -> tuple[bytes, list[Path]]:
    from ..output.read_back import source_model
    from ..sequence.stored_page import sequence_fit, stored_sequence_page

    if photo is not None:
        raise click.UsageError("--photo belongs to the fit of one photo")
    fit = sequence_fit(result)
    inputs = [fit.path, fit.mesh]
    check([page], inputs)
    return stored_sequence_page(fit, source_model(fit, model), page.stem), inputs


def _head(result: Path, page: Path, photo: Path | None, model: str | None, check) -> tuple[bytes, list[Path]]:
    from ..output.stored_head import find_head, head_page

    if photo is not None:
        raise click.UsageError("--photo belongs to the fit of one photo")
    head = find_head(result)
    assert head is not None
    inputs = [head.path, head.mesh, *(Path(each.photo.path) for each in head.photos() if each.photo.path)]
    inputs = [path for path in inputs if path.is_file()]
    check([page], inputs)
    return head_page(head, page.stem), inputs


def _sheet(folder: Path, page: Path, pages: bool, model: str | None) -> Path:
    from ..batch.folder_store import FolderStore
    from ..batch.manifest import MANIFEST
    from ..batch.sheet import check_sheet, write_sheet
    from ..errors import InputError

    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder}: no {MANIFEST}; expected the output folder of `facefit batch`")
    store = FolderStore(folder)
    check_sheet(store, page)
    if pages:
        _pages(folder, model)
    write_sheet(store.records().values(), store, page)
    return page


def _pages(folder: Path, model: str | None) -> None:
    """The pages of the faces of a batch that have none; a result that cannot be shown is told and left out."""
    from ..convert.conversion_files import source_files, source_model
    from ..errors import FaceFitError
    from ..files.outputs import write_files
    from ..output.read_back import find_fits
    from ..output.stored_page import stored_page

    used = None
    for fit in find_fits([folder]):
        page = fit.path.with_suffix(".html")
        if page.exists():
            continue
        try:
            if used is None or used.checksum != fit.document["model"]["checksum"]:
                used = source_model(fit, model)
            write_files({page: stored_page(fit, used, page.stem)}, source_files(fit))
        except FaceFitError as error:
            click.echo(f"left out: {error}", err=True)
