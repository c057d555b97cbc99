"""`facefit batch`: folders of photos."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from fitter.commands_options import load, shared_options, start

SOME_FAILED = 7
RESULT_OPTIONS = (
    "faces", "focal", "fov", "preset", "energies", "iterations", "max_seconds", "seed", "segmentation", "label_map",
    "space", "texture_size", "model",
)  # fmt: skip  (the options that decide what is written)
TABLE_ROWS = 60  # a longer table shows its failures only


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="OUT",
              help="Folder for the meshes and manifest.jsonl, made when missing; keeps the subfolders.")  # fmt: skip
@click.option("--format", "mesh_format", type=click.Choice(("obj", "ply", "glb")), default="obj", show_default=True,
              help="Mesh format.")  # fmt: skip
@click.option("--overlay", is_flag=True, help="Also write NAME_overlay.png for each photo.")
@click.option("--labels", is_flag=True, help="Also write NAME_labels.png for each photo.")
@click.option("--overwrite", is_flag=True, help="Fit photos again that are done already.")
@shared_options
def batch(
    folder: Path, output: Path, mesh_format: str, overlay: bool, labels: bool, overwrite: bool, **options: Any
) -> int:
    """Fit every photo in FOLDER and its subfolders, one after another.

    A photo that fails never stops the rest: a table at the end and OUT/manifest.jsonl say what happened. Run again to
    go on: photos that are done, unchanged and under the same options, are skipped. Exit code 0 when all are done,
    7 when some failed.

    \b
    Examples:
      facefit batch photos/ -o meshes/
      facefit batch photos/ -o meshes/ --format glb --overlay --max-seconds 5
    """
    if options["segmentation"].lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture of labels belongs to one photo; use `facefit fit`")
    start(options)
    from fitter.batch import plan_batch, run_batch
    from fitter.image import read_photo
    from fitter.job import Files
    from fitter.progress import Progress

    quiet = options["quiet"]
    settings = {name: options[name] for name in RESULT_OPTIONS} | {"overlay": overlay, "labels": labels}
    tasks = plan_batch(folder, output, f".{mesh_format}", overwrite, settings)
    # a missing model is one error and not one per photo; nothing is loaded where nothing is to be done
    job = load(options) if any(task.done is None for task in tasks) else None

    def work(task) -> list:
        files = Files(
            task.mesh,
            task.mesh.with_name(f"{task.mesh.stem}_overlay.png") if overlay else None,
            task.mesh.with_name(f"{task.mesh.stem}_labels.png") if labels else None,
        )
        with Progress(task.key, quiet=quiet or not sys.stderr.isatty()) as progress:
            return job.run(read_photo(task.photo), files, progress)

    records = []
    try:
        for record in run_batch(tasks, output, work, settings, options["debug"]):
            records.append(record)
            if not quiet:
                text = f"{record.seconds:.1f} s" if record.status == "done" else record.reason or "done before"
                click.echo(f"[{len(records)}/{len(tasks)}] {record.photo}: {record.status}, {text}", err=True)
    finally:
        if records and not quiet:
            _print_table(records)
    return SOME_FAILED if any(record.status == "failed" for record in records) else 0


def _print_table(records: list) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = {status: sum(record.status == status for record in records) for status in ("done", "skipped", "failed")}
    table = Table(title=", ".join(f"{count} {status}" for status, count in counts.items()), title_justify="left")
    for name in ("photo", "result", "faces", "landmarks %", "part IoU", "s"):
        table.add_column(name, justify="left" if name in ("photo", "result") else "right", overflow="fold")
    shown = records if len(records) <= TABLE_ROWS else [record for record in records if record.status == "failed"]
    for record in shown:
        errors = [face["landmark_error"] for face in record.faces if face["landmark_error"] is not None]
        shares = [face["part_iou"] for face in record.faces if face["part_iou"] is not None]
        result = record.status if record.error is None else f"{record.exit_code}: {record.reason}"
        table.add_row(
            Text(record.photo),
            Text(result),
            str(len(record.faces) or ""),
            f"{100 * sum(errors) / len(errors):.1f}" if errors else "",
            f"{sum(shares) / len(shares):.2f}" if shares else "",
            f"{record.seconds:.1f}" if record.seconds else "",
        )
    Console().print(table)
