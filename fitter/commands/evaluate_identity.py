"""`facefit eval identity`: do the shapes tell people apart."""

from __future__ import annotations

from pathlib import Path

import click

from .printing import DEBUG, FITS, JSON, MODEL, check_reports, is_dash, load_fits, number, print_table, write_json


@click.command()
@FITS
@click.option("--pattern", metavar="REGEX",
              help="Who a photo shows: the first group of this in the fit's name, e.g. '(p[0-9]+)_'.")  # fmt: skip
@click.option("--people", "table", type=click.Path(path_type=Path), metavar="CSV",
              help="Who a photo shows: a table with the columns name and person.")  # fmt: skip
@click.option("--column", default="person", show_default=True, metavar="NAME", help="The table's column of people.")
@MODEL
@JSON
@DEBUG
def identity(fits, pattern, table, column, model, json_file, debug) -> None:
    """Are fits of one person closer to each other than fits of two?

    Compares neutral faces, laid on each other without scaling. Without --pattern and --people, a folder is a person.

    \b
    Examples:
      facefit eval identity people/
      facefit eval identity meshes/ --pattern '^(p[0-9]+)' --json identity.json
      facefit eval identity meshes/ --people who.csv
    """
    if pattern is not None and table is not None:
        raise click.UsageError("--pattern and --people both say who is who; give one")
    from ..errors import InputError
    from ..evaluate.identity import (
        compare_identities,
        face_vertices,
        neutral_shapes,
        people_by_folder,
        people_by_pattern,
        people_by_table,
    )

    named = model
    found, model = load_fits(fits, model)
    check_reports([json_file], [table, named, *(path for fit in found for path in fit.files())])
    if table is not None:
        who = people_by_table(found, table, column)
    elif pattern is not None:
        try:
            who = people_by_pattern(found, pattern)
        except ValueError as error:
            raise click.UsageError(f"--pattern {error}") from None
    else:
        who = people_by_folder(found)
    known = [(fit, person) for fit, person in zip(found, who, strict=True) if person]
    if len(known) < 2:
        raise InputError(f"{len(known)} of {len(found)} fits have a person; expected two or more")
    shapes = neutral_shapes([fit for fit, _ in known], model)
    mean = model.verts.numpy()[face_vertices(model)]
    figures = compare_identities(shapes, mean, [person for _, person in known])
    rows = [{"name": fit.name, "person": person} for fit, person in known]
    write_json({"command": "identity", "unit": "mm", "fits": rows, "without": len(found) - len(known), **figures},
               json_file)  # fmt: skip
    if is_dash(json_file):
        return
    interval = figures["auc_interval"]
    spread = "" if interval is None else f"{number(interval[0], 3)} to {number(interval[1], 3)}"
    print_table(
        f"Neutral shapes of {figures['shapes']} fits, {figures['people']} people",
        ("figure", "value", "95 % of people"),
        [
            ("AUC", number(figures["auc"], 3), spread),
            ("EER", number(figures["eer"], 3), ""),
            (f"within a person, mm ({figures['pairs_within']} pairs)", number(figures["within"], 2), ""),
            (f"between people, mm ({figures['pairs_between']} pairs)", number(figures["between"], 2), ""),
            ("to the mean face, mm", number(figures["to_mean"], 2), ""),
        ],
    )
    if len(known) < len(found):
        click.echo(f"without a person: {len(found) - len(known)} fits")
