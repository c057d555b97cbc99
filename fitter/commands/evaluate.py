"""`facefit eval ...`: parse, call the evaluation, print a table or JSON. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path

import click

from .evaluate_identity import identity
from .evaluate_parts import parts
from .evaluate_scan import scan
from .printing import (
    DEBUG,
    FITS,
    JSON,
    MODEL,
    check_reports,
    is_dash,
    lines_of,
    load_fits,
    model_of,
    number,
    print_table,
    some,
    write_json,
)


@click.group("eval", no_args_is_help=False, invoke_without_command=True)
@click.pass_context
def evaluate(context: click.Context) -> None:
    """Measure fits: against labels, points or scans, or one set against another.

    FIT is a JSON that facefit wrote, the mesh beside it, or a folder that is searched with all below.

    \b
    Examples:
      facefit eval parts meshes/ --labels labels/ --label-map celebamask19
      facefit eval scan mesh.obj scan.ply --landmarks scan_points.json
      facefit eval compare before/ after/ --sheet sheet.png
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


evaluate.add_command(parts)
evaluate.add_command(scan)
evaluate.add_command(identity)


@evaluate.command()
@FITS
@click.option("--landmarks", type=click.Path(path_type=Path), metavar="DIR",
              help="Points in the photos: NAME.json, .npy, .txt, .csv or .pts by the photo's name; 478, 468, 68 or "
              "7 of them. Without it: what the fits say of the points they were fitted to.")  # fmt: skip
@MODEL
@JSON
@DEBUG
def landmarks(fits, landmarks, model, json_file, debug) -> None:
    """Landmark error of fits, as a share of the distance of the outer eye corners.

    \b
    Examples:
      facefit eval landmarks meshes/
      facefit eval landmarks meshes/ --landmarks clicked/ --json errors.json
    """
    from ..evaluate.compare import summarise

    if landmarks is None:
        from ..output.read_back import find_fits

        found = find_fits(fits)
        check_reports([json_file], [path for fit in found for path in fit.files()])
        rows: list[dict] = [
            {"name": fit.name, "landmark_error": {"all": fit.document.get("landmark_error")}} for fit in found
        ]
    else:
        rows = _landmark_rows(fits, landmarks, model, json_file)
    summary = summarise([row["landmark_error"] for row in rows])
    write_json({"command": "landmarks", "unit": "distance of the outer eye corners", "fits": rows, "summary": summary},
           json_file)  # fmt: skip
    if not is_dash(json_file):
        body = [(name, *(number(v if v is None else 100 * v, 2) for v in (s["mean"], s["std"])), str(s["n"]))
                for name, s in summary.items()]  # fmt: skip
        print_table(f"Landmark error of {len(rows)} fits, %", ("landmarks", "mean", "std", "n"), body)


def _landmark_rows(fits, folder: Path, model, json_file: Path | None) -> list[dict]:
    from ..errors import InputError
    from ..evaluate.landmarks import landmark_scores
    from ..files.read_points import POINTS, read_points
    from ..output.read_back import load_scene

    if not folder.is_dir():
        raise click.UsageError(f"--landmarks {folder}: no such folder")
    named = model
    fits, model = load_fits(fits, model)
    points = []
    for fit in fits:
        stems = dict.fromkeys([*([fit.photo.stem] if fit.photo else []), fit.name, fit.path.stem])
        found = [path for stem in stems for end in POINTS if (path := folder / f"{stem}{end}").is_file()]
        found = [path for path in found if path.resolve() != fit.path.resolve()]
        if not found:
            looked = f"looked for {', '.join(stems)} with {', '.join(POINTS)}"
            raise InputError(f"{fit.path}: no points in {folder}; {looked}")
        points.append(found[0])
    check_reports([json_file], [*points, named, *(path for fit in fits for path in fit.files())])
    rows = []
    for fit, path in zip(fits, points, strict=True):
        try:
            scores = landmark_scores(load_scene(fit, model), read_points(path))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        rows.append({"name": fit.name, "points": str(path), "landmark_error": scores})
    return rows


@evaluate.command()
@click.argument("first", type=click.Path(path_type=Path), metavar="A")
@click.argument("second", type=click.Path(path_type=Path), metavar="B")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), metavar="PNG",
              help="Also draw both fits of each photo side by side; the photos must be where they were.")  # fmt: skip
@click.option("--rows", type=click.IntRange(1, 200), default=24, show_default=True, metavar="N",
              help="Of the sheet: the N photos whose Part IoU changed most.")  # fmt: skip
@MODEL
@JSON
@DEBUG
def compare(first, second, sheet_file, rows, model, json_file, debug) -> None:  # fmt: skip
    """Two folders of fits of the same photos side by side: what B changed against A.

    \b
    Examples:
      facefit eval compare before/ after/
      facefit eval compare before/ after/ --sheet sheet.png --rows 10 --json change.json
    """
    if sheet_file is not None and sheet_file.suffix.lower() != ".png":
        raise click.UsageError(f"--sheet {sheet_file}: expected a name that ends in .png")
    from ..evaluate.compare import compare_fits
    from ..output.read_back import find_fits

    sides = find_fits([first]), find_fits([second])
    check_reports([sheet_file, json_file], [model, *(path for side in sides for fit in side for path in fit.files())])
    result = compare_fits(*sides)
    if sheet_file is not None:
        _draw_sheet(sides, result["rows"], sheet_file, rows, model)
    write_json({"command": "compare", "first": str(first), "second": str(second), **result}, json_file)
    if is_dash(json_file):
        return
    body = [
        (name, number(s["first"], 4), number(s["second"], 4), number(s["difference"], 4, sign=True),
         number(s["standard_error"], 4), str(s["better"]), str(s["worse"]), str(s["n"]))
        for name, s in result["summary"].items()
    ]  # fmt: skip
    print_table(f"{len(result['rows'])} photos", ("figure", "A", "B", "B - A", "± s.e.", "better", "worse", "n"), body)
    for side, missing in (("A", result["only_first"]), ("B", result["only_second"])):
        if missing:
            click.echo(f"only in {side}: {some(missing)}")


def _draw_sheet(sides, table: list[dict], path: Path, rows: int, model) -> None:
    from ..evaluate.compare import sheet
    from ..files.outputs import write_files
    from ..files.picture_bytes import png_bytes
    from ..output.read_back import load_photo, load_scene

    def change(row: dict) -> float:
        one, two = row["part_iou"]
        return 0.0 if one is None or two is None else -abs(two - one)

    chosen = [row["name"] for row in sorted(table, key=change)[:rows]]
    named = [{fit.name: fit for fit in side} for side in sides]
    loaded = model_of([fit for side in named for name in chosen for fit in [side[name]]], model)
    first, second = ([(load_scene(side[name], loaded), load_photo(side[name])) for name in chosen] for side in named)
    pairs = list(zip(first, second, strict=True))
    write_files({path: png_bytes(sheet(pairs))})


@evaluate.command("export-now")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder to fill.")
@click.option("--list", "list_file", type=click.Path(path_type=Path), metavar="FILE",
              help="The benchmark's image list: say which of its photos have no fit.")  # fmt: skip
@click.option("--expression", is_flag=True, help="Keep the expression; the benchmark's scans are neutral.")
@MODEL
@DEBUG
def export_now(folder, output, list_file, expression, model, debug) -> None:  # fmt: skip
    """Write a folder of fits as the NoW benchmark reads them.

    \b
    Example:
      facefit batch NoW_Dataset/final_release_version/iphone_pictures -o fits/
      facefit eval export-now fits/ -o now/ --list imagepathsvalidation.txt
    """
    from ..evaluate.benchmark_files import export_now as export

    wanted = lines_of(list_file) if list_file is not None else []
    named = model
    fits, model = load_fits([folder], model)
    inputs = [path for path in (named, list_file) if path is not None]
    written, missing = export(fits, model, output, expression=expression, wanted=wanted, inputs=inputs)
    click.echo(f"{len(written)} meshes and landmarks in {output} (millimetres)")
    if missing:
        click.echo(f"without a fit: {some(missing)}")


@evaluate.command("export-realy")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder to fill.")
@MODEL
@DEBUG
def export_realy(folder, output, model, debug) -> None:  # fmt: skip
    """Write a folder of fits as the REALY benchmark reads them.

    \b
    Example:
      facefit batch REALY_image/ -o fits/
      facefit eval export-realy fits/ -o realy/
    """
    from ..evaluate.benchmark_files import export_realy as export

    inputs = [path for path in (model,) if path is not None]
    fits, model = load_fits([folder], model)
    written, data = export(fits, model, output, inputs=inputs)
    click.echo(f"{len(written)} meshes in {output / 'prediction'}; template, 85 keypoints and mask in {data}")
