"""`facefit eval scan`: distance to a scan."""

from __future__ import annotations

from pathlib import Path

import click

from .printing import (
    DEBUG,
    JSON,
    MODEL,
    check_reports,
    is_dash,
    maybe_model,
    number,
    print_table,
    write_json,
)


@click.command()
@click.argument("mesh", type=click.Path(path_type=Path))
@click.argument("scan", type=click.Path(path_type=Path))
@click.option("--landmarks", type=click.Path(path_type=Path), metavar="FILE",
              help="The scan's seven points: outer and inner corner of the right eye, inner and outer of the left, "
              "nose bottom, right and left mouth corner.")  # fmt: skip
@click.option("--mesh-landmarks", type=click.Path(path_type=Path), metavar="FILE",
              help="The mesh's seven points. Without it: the JSON beside the mesh, or the face model.")  # fmt: skip
@click.option("--align", type=click.Choice(("rigid", "similarity", "both", "none")), default="both", show_default=True,
              help="rigid: the mesh keeps its size; similarity: it may change it.")  # fmt: skip
@click.option("--metric", type=click.Choice(("point", "plane")), default="point", show_default=True,
              help="Distance to the closest point of the mesh, or to the plane there.")  # fmt: skip
@click.option("--region", default="face", show_default=True, metavar="face|all|NAME",
              help="Of the scan: NoW's ball around the face, everything, or an array of an .npz scan.")  # fmt: skip
@click.option("--error-map", "maps", multiple=True, type=click.Path(path_type=Path), metavar="PLY|PNG",
              help="Also write the scan coloured by its distance to the mesh. May be given twice.")  # fmt: skip
@click.option("--error-max", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True, metavar="MM",
              help="Where the colours end.")  # fmt: skip
@click.option("--scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="X",
              help="Multiply the mesh by this to get mm.")  # fmt: skip
@click.option("--scan-scale", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="X",
              help="Multiply the scan by this to get mm.")  # fmt: skip
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

    from ..errors import InputError
    from ..evaluate.scan import compare_to_scan, error_picture, error_ply, mesh_landmarks7, scan_region, upright
    from ..files.outputs import write_files
    from ..files.picture_bytes import png_bytes
    from ..files.read_mesh import Mesh, read_mesh
    from ..files.read_points import read_points

    beside = [mesh.with_suffix(".json"), mesh.with_suffix(".mtl")]
    check_reports([*maps, json_file], [mesh, scan, landmarks, mesh_landmarks, model, *beside])
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
    ours, own_points = upright(mesh, ours, own_points)
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
