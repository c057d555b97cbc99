"""`facefit eval ...`: parse, call the evaluation, print a table or JSON. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path

import click

from .commands_shared import (
    DEBUG,
    FITS,
    JSON,
    MODEL,
    is_dash,
    lines_of,
    load_fits,
    maybe_model,
    model_of,
    named_segmenter,
    number,
    print_table,
    some,
    summary_rows,
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


@evaluate.command()
@FITS
@click.option("--labels", type=click.Path(path_type=Path), metavar="DIR",
              help="Label pictures, 8-bit PNG of the photos' size: NAME.png, NAME_label.png, ... by the photo's name.")
@click.option("--suffix", metavar="TEXT", help="What follows NAME in their names, before .png.")
@click.option("--label-map", default="facefit", show_default=True, metavar="NAME|LIST",
              help="What their numbers mean: facefit, celebamask19, fasseg, or 3:nose,4:eyes,...")
@click.option("--ignore", default="", metavar="LIST", help="Numbers whose pixels do not count, e.g. 2 for hair.")
@click.option("--skip-absent", is_flag=True, help="Leave out parts that the labels lack, instead of scoring them 0.")
@click.option("--parser", metavar="FILE|auto|polygons",
              help="The paper's protocol: parse a render of the fit with this face parser; without --labels, parse the "
              "photo with it too.")
@MODEL
@JSON
@DEBUG
def parts(fits, labels, suffix, label_map, ignore, skip_absent, parser, model, json_file, debug) -> None:  # fmt: skip
    """Part IoU of fitted meshes against label pictures.

    \b
    Examples:
      facefit eval parts meshes/ --labels parts/
      facefit eval parts meshes/ --labels hand/ --suffix _label --label-map 3:nose,4:eyes,5:mouth --skip-absent
      facefit eval parts meshes/ --parser parser.onnx
    """
    if labels is None and parser is None:
        raise click.UsageError("--labels DIR or --parser FILE is needed: what shall the parts be held against?")
    from .evaluate.compare import summarise
    from .evaluate.parts import (
        find_labels,
        parse_label_map,
        parse_window,
        parsed_photo,
        parsed_render,
        parts_of_mesh,
        score_parts,
    )
    from .files.label_picture import read_label_picture
    from .output.read_back import load_result
    from .photo.window import sample_labels

    try:
        numbers_mean = parse_label_map(label_map)
        hidden = [int(item) for item in ignore.split(",") if item.strip()]
        segmenter = named_segmenter(parser)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if labels is not None and not labels.is_dir():
        raise click.UsageError(f"--labels {labels}: no such folder")
    fits, model = load_fits(fits, model)
    pictures = [None if labels is None else find_labels(fit, labels, suffix) for fit in fits]
    rows = []
    for fit, picture in zip(fits, pictures, strict=True):
        result = load_result(fit, model, photo=picture is None)
        target = None if picture is None else read_label_picture(picture, fit.photo_size)
        meaning = numbers_mean
        if segmenter is None:
            predicted = parts_of_mesh(result)
        else:
            window = parse_window(result)
            predicted = parsed_render(result, segmenter, window)
            if target is None:
                from .observe.mediapipe_detector import load_detector

                target, meaning = parsed_photo(result, segmenter, load_detector(), window), parse_label_map("facefit")
            else:
                target = sample_labels(target, window)
        scores = score_parts(predicted, target, meaning, hidden, skip_absent)
        rows.append({"name": fit.name, "labels": None if picture is None else str(picture), "part_iou": scores})
    summary = summarise([row["part_iou"] for row in rows])
    write_json({"command": "parts", "fits": rows, "summary": summary}, json_file)
    if not is_dash(json_file):
        print_table(f"Part IoU of {len(rows)} fits", ("part", "mean", "std", "n"), summary_rows(summary, 3))


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
    from .evaluate.compare import summarise

    if landmarks is None:
        from .output.read_back import find_fits

        rows = [
            {"name": fit.name, "landmark_error": {"all": fit.document.get("landmark_error")}} for fit in find_fits(fits)
        ]
    else:
        rows = _landmark_rows(fits, landmarks, model)
    summary = summarise([row["landmark_error"] for row in rows])
    write_json({"command": "landmarks", "unit": "distance of the outer eye corners", "fits": rows, "summary": summary},
           json_file)  # fmt: skip
    if not is_dash(json_file):
        body = [(name, *(number(v if v is None else 100 * v, 2) for v in (s["mean"], s["std"])), str(s["n"]))
                for name, s in summary.items()]  # fmt: skip
        print_table(f"Landmark error of {len(rows)} fits, %", ("landmarks", "mean", "std", "n"), body)


def _landmark_rows(fits, folder: Path, model) -> list[dict]:
    from .errors import InputError
    from .evaluate.landmarks import landmark_scores
    from .files.read_points import POINTS, read_points
    from .output.read_back import load_result

    if not folder.is_dir():
        raise click.UsageError(f"--landmarks {folder}: no such folder")
    fits, model = load_fits(fits, model)
    rows = []
    for fit in fits:
        stems = dict.fromkeys([*([fit.photo.stem] if fit.photo else []), fit.name, fit.path.stem])
        found = [path for stem in stems for end in POINTS if (path := folder / f"{stem}{end}").is_file()]
        found = [path for path in found if path.resolve() != fit.path.resolve()]
        if not found:
            looked = f"looked for {', '.join(stems)} with {', '.join(POINTS)}"
            raise InputError(f"{fit.path}: no points in {folder}; {looked}")
        try:
            scores = landmark_scores(load_result(fit, model), read_points(found[0]))
        except ValueError as error:
            raise InputError(f"{found[0]}: {error}") from None
        rows.append({"name": fit.name, "points": str(found[0]), "landmark_error": scores})
    return rows


@evaluate.command()
@click.argument("mesh", type=click.Path(path_type=Path))
@click.argument("scan", type=click.Path(path_type=Path))
@click.option("--landmarks", type=click.Path(path_type=Path), metavar="FILE",
              help="The scan's seven points: outer and inner corner of the right eye, inner and outer of the left, "
              "nose bottom, right and left mouth corner.")
@click.option("--mesh-landmarks", type=click.Path(path_type=Path), metavar="FILE",
              help="The mesh's seven points. Without it: the JSON beside the mesh, or the face model.")
@click.option("--align", type=click.Choice(("rigid", "similarity", "both", "none")), default="both", show_default=True,
              help="rigid: the mesh keeps its size; similarity: it may change it.")
@click.option("--metric", type=click.Choice(("point", "plane")), default="point", show_default=True,
              help="Distance to the closest point of the mesh, or to the plane there.")
@click.option("--region", default="face", show_default=True, metavar="face|all|NAME",
              help="Of the scan: NoW's ball around the face, everything, or an array of an .npz scan.")
@click.option("--error-map", "maps", multiple=True, type=click.Path(path_type=Path), metavar="PLY|PNG",
              help="Also write the scan coloured by its distance to the mesh. May be given twice.")
@click.option("--error-max", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, metavar="MM",
              help="Where the colours end.")
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="X",
              help="Multiply the mesh by this to get mm.")
@click.option("--scan-scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="X",
              help="Multiply the scan by this to get mm.")
@click.option("--samples", type=click.IntRange(min=100), default=20_000, show_default=True, help="Points on the scan.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of their places.")
@MODEL
@JSON
@DEBUG
def scan(
    mesh, scan, landmarks, mesh_landmarks, align, metric, region, maps, error_max, scale, scan_scale, samples, seed,
    model, json_file, debug,
) -> None:  # fmt: skip
    """Distance of a scan to a fitted mesh in mm, by the NoW protocol.

    The mesh is moved onto the scan by seven points, then by robust ICP on the region.

    \b
    Examples:
      facefit eval scan mesh.obj scan.ply --landmarks scan_points.json
      facefit eval scan mesh.obj scan.npz --align similarity --region region_oval
      facefit eval scan mesh.obj scan.obj --landmarks p.txt --metric plane --error-map error.ply --error-map error.png
    """
    for path in maps:
        if path.suffix.lower() not in (".ply", ".png"):
            raise click.UsageError(f"--error-map {path}: expected a name that ends in .ply or .png")
    import numpy as np

    from .errors import InputError
    from .evaluate.scan import compare_to_scan, error_picture, error_ply, mesh_landmarks7, scan_region
    from .files.mesh_bytes import png_bytes
    from .files.outputs import check_outputs, write_files
    from .files.read_mesh import Mesh, read_mesh
    from .files.read_points import read_points

    check_outputs(maps, [mesh, scan])
    ours, theirs = read_mesh(mesh), read_mesh(scan)
    own_points = read_points(mesh_landmarks) if mesh_landmarks else mesh_landmarks7(mesh, ours, maybe_model(model))
    if landmarks is not None:
        scan_points = read_points(landmarks)
    elif "landmarks7" in theirs.arrays:
        scan_points = np.asarray(theirs.arrays["landmarks7"], np.float64)
    else:
        raise click.UsageError(f"--landmarks FILE is needed: {scan} does not hold its seven points")
    ours = Mesh(ours.verts * scale, ours.faces, ours.arrays)
    theirs = Mesh(theirs.verts * scan_scale, theirs.faces, theirs.arrays)
    own_points, scan_points = own_points * scale, scan_points * scan_scale
    for what, points in ((mesh_landmarks or mesh, own_points), (landmarks or scan, scan_points)):
        if points.shape != (7, 3) or not np.isfinite(points).all():
            raise InputError(f"{what}: landmarks of shape {points.shape}; expected seven points of finite x, y, z")
    inside = scan_region(theirs, scan_points, region)
    results = {}
    for kind in ("rigid", "similarity") if align == "both" else (align,):
        try:
            results[kind] = compare_to_scan(ours, own_points, theirs, scan_points, inside, align=kind, metric=metric,
                                            samples=samples, seed=seed)  # fmt: skip
        except ValueError as error:
            raise InputError(f"{mesh}, {scan}: {error}") from None
    last = list(results.values())[-1]
    write_files(
        {
            path: error_ply(theirs, last, error_max) if path.suffix.lower() == ".ply"
            else png_bytes(error_picture(theirs, last, error_max))
            for path in maps
        }
    )  # fmt: skip
    figures = {kind: result.figures for kind, result in results.items()}
    named = {"mesh": str(mesh), "scan": str(scan), "region": region, "metric": metric}
    write_json({"command": "scan", "unit": "mm", **named, **figures}, json_file)
    if not is_dash(json_file):
        columns = ("median", "mean", "std", "p90", "max", "scale", "landmark_rms")  # as wide as 80 characters allow
        body = [
            (kind, *(number(value[c], 4 if c == "scale" else 3) for c in columns)) for kind, value in figures.items()
        ]
        print_table(f"Scan to mesh, mm ({metric}, {region})", ("alignment", *columns[:-1], "landmarks"), body)


@evaluate.command()
@click.argument("first", type=click.Path(path_type=Path), metavar="A")
@click.argument("second", type=click.Path(path_type=Path), metavar="B")
@click.option("--sheet", "sheet_file", type=click.Path(path_type=Path), metavar="PNG",
              help="Also draw both fits of each photo side by side; the photos must be where they were.")
@click.option("--rows", type=click.IntRange(1, 200), default=24, show_default=True, metavar="N",
              help="Of the sheet: the N photos whose Part IoU changed most.")
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
    from .evaluate.compare import compare_fits
    from .output.read_back import find_fits

    sides = find_fits([first]), find_fits([second])
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
    from .evaluate.compare import sheet
    from .files.mesh_bytes import png_bytes
    from .files.outputs import check_outputs, write_files
    from .output.read_back import load_result

    check_outputs([path], [fit.path for side in sides for fit in side])

    def change(row: dict) -> float:
        one, two = row["part_iou"]
        return 0.0 if one is None or two is None else -abs(two - one)

    chosen = [row["name"] for row in sorted(table, key=change)[:rows]]
    named = [{fit.name: fit for fit in side} for side in sides]
    loaded = model_of([fit for side in named for name in chosen for fit in [side[name]]], model)
    pairs = [tuple(load_result(side[name], loaded, photo=True) for side in named) for name in chosen]
    write_files({path: png_bytes(sheet(pairs))})


@evaluate.command("export-now")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT", help="Folder to fill.")
@click.option("--list", "list_file", type=click.Path(path_type=Path), metavar="FILE",
              help="The benchmark's image list: say which of its photos have no fit.")
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
    from .evaluate.benchmark_files import export_now as export

    wanted = lines_of(list_file) if list_file is not None else []
    fits, model = load_fits([folder], model)
    written, missing = export(fits, model, output, expression=expression, wanted=wanted)
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
    from .evaluate.benchmark_files import export_realy as export

    fits, model = load_fits([folder], model)
    written, data = export(fits, model, output)
    click.echo(f"{len(written)} meshes in {output / 'prediction'}; template, 85 keypoints and mask in {data}")
