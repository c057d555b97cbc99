"""`facefit eval parts`: Part IoU against label pictures."""

from __future__ import annotations

from pathlib import Path

import click

from .printing import (
    DEBUG,
    FITS,
    JSON,
    MODEL,
    check_reports,
    is_dash,
    load_fits,
    named_segmenter,
    print_table,
    summary_rows,
    write_json,
)


@click.command()
@FITS
@click.option("--labels", type=click.Path(path_type=Path), metavar="DIR",
              help="Label pictures, 8-bit PNG of the photos' size: NAME.png, NAME_label.png, ... by the photo's name."
)  # fmt: skip
@click.option("--suffix", metavar="TEXT", help="What follows NAME in their names, before .png.")
@click.option("--label-map", default="facefit", show_default=True, metavar="NAME|LIST",
              help="What their numbers mean: facefit, celebamask19, fasseg, or 3:nose,4:eyes,...")  # fmt: skip
@click.option("--ignore", default="", metavar="LIST", help="Numbers whose pixels do not count, e.g. 2 for hair.")
@click.option("--skip-absent", is_flag=True, help="Leave out parts that the labels lack, instead of scoring them 0.")
@click.option("--parser", metavar="FILE|auto|polygons",
              help="The paper's protocol: parse a render of the fit with this face parser; without --labels, parse the "
              "photo with it too.")  # fmt: skip
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
    from ..evaluate.compare import summarise
    from ..evaluate.parts import (
        find_labels,
        parse_label_map,
        score_parts,
        segment_window,
        segmented_photo,
        segmented_render,
    )
    from ..files.label_picture import read_label_picture
    from ..output.read_back import load_photo, load_scene, load_window
    from ..photo.window import sample_labels

    try:
        numbers_mean = parse_label_map(label_map)
        hidden = [int(item) for item in ignore.split(",") if item.strip()]
        segmenter = named_segmenter(parser)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if labels is not None and not labels.is_dir():
        raise click.UsageError(f"--labels {labels}: no such folder")
    named = model
    fits, model = load_fits(fits, model)
    pictures = [None if labels is None else find_labels(fit, labels, suffix) for fit in fits]
    read = [*pictures, parser, named, *(path for fit in fits for path in fit.files())]
    check_reports([json_file], read)
    rows = []
    for fit, picture in zip(fits, pictures, strict=True):
        scene = load_scene(fit, model)
        target = None if picture is None else read_label_picture(picture, fit.photo_size)
        meaning = numbers_mean
        if segmenter is None:
            assert target is not None  # refused above: neither labels nor a parser
            predicted = scene.picture_of_parts(*fit.photo_size)
        else:
            window = segment_window(load_window(fit))
            predicted = segmented_render(scene, segmenter, window)
            if target is None:
                from ..observe.detector import load_detector

                target = segmented_photo(scene, load_photo(fit), segmenter, load_detector(), window)
                meaning = parse_label_map("facefit")
            else:
                target = sample_labels(target, window)
        scores = score_parts(predicted, target, meaning, hidden, skip_absent)
        rows.append({"name": fit.name, "labels": None if picture is None else str(picture), "part_iou": scores})
    summary = summarise([row["part_iou"] for row in rows])
    write_json({"command": "parts", "fits": rows, "summary": summary}, json_file)
    if not is_dash(json_file):
        print_table(f"Part IoU of {len(rows)} fits", ("part", "mean", "std", "n"), summary_rows(summary, 3))
