"""`facefit parse`: the parts of a face in a photo, without a fit."""

from __future__ import annotations

from pathlib import Path

import click

from .options import check_faces
from .printing import check_reports, is_dash, json_bytes, print_table, write_json

_PNG = click.Path(path_type=Path, dir_okay=False)


@click.command("parse")
@click.argument("photo", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=_PNG, required=True, metavar="PNG",
              help="Label of each pixel of the photo, as --segmentation reads it.")  # fmt: skip
@click.option("--overlay", "overlay_file", type=_PNG, metavar="PNG", help="The photo with each part in its colour.")
@click.option("--confidence", "confidence_file", type=_PNG, metavar="PNG", help="How sure each label is, 0 to 255.")
@click.option("--faces", default="largest", metavar="largest|all|N", show_default=True, callback=check_faces,
              help="Which faces: the largest, all, or the N-th.")  # fmt: skip
@click.option("--segmentation", default="auto", show_default=True, metavar="auto|parser|color|polygons|FILE",
              help="Who parses: facefit's parser, landmarks with or without colours, or another parser (.onnx)."
)  # fmt: skip
@click.option("--label-map", default="auto", show_default=True, metavar="NAME",
              help="What another parser's classes mean, e.g. celebamask19.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE",
              help="Write numbers and names of the labels and their shares of the photo; - prints them.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, hidden=True)
def parse(photo, output, overlay_file, confidence_file, faces, segmentation, label_map, json_file, quiet, debug):
    """Say what each pixel of a PHOTO's face shows: skin, nose, eyes, brows, lips, ears, neck, hair, glasses, ..."""
    for path in (output, overlay_file, confidence_file):
        if path is not None and path.suffix.lower() != ".png":
            raise click.UsageError(f"{path}: labels are written as .png")
    if segmentation.lower().endswith(".png"):
        raise click.UsageError("--segmentation with a picture: its labels are there already")

    import logging

    logging.basicConfig(format="facefit: %(levelname)s %(name)s: %(message)s", level=logging.WARNING, force=True)

    from ..anatomy.parts import LABELS
    from ..files.outputs import write_files
    from ..files.picture_bytes import png_bytes
    from ..observe.parse import overlay, parse_photo
    from ..observe.segment.load import load_segmenter
    from ..photo.photo import read_photo

    check_reports((output, overlay_file, confidence_file, json_file), (photo, segmentation))
    try:
        segmenter = load_segmenter(segmentation, label_map)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    read = read_photo(photo)
    parsed = parse_photo(read, faces, segmenter)
    files = {output: png_bytes(parsed.labels)}
    if overlay_file is not None:
        files[overlay_file] = png_bytes(overlay(read.pixels, parsed.labels))
    if confidence_file is not None:
        files[confidence_file] = png_bytes((parsed.confidence * 255 + 0.5).astype("uint8"))
    shares = parsed.shares
    document = {"photo": str(photo), "faces": parsed.faces, "labels": list(LABELS), "shares": shares}
    if json_file is not None and not is_dash(json_file):
        files[json_file] = json_bytes(document)
    written = write_files(files, inputs=[photo])
    if is_dash(json_file):
        write_json(document, json_file)
    if not quiet and not is_dash(json_file):
        print_table(f"{photo}: {parsed.faces} face{'s' if parsed.faces > 1 else ''}", ("part", "share of the photo"),
                    [(name, f"{100 * share:.1f} %") for name, share in shares.items()])  # fmt: skip
        click.echo("wrote " + ", ".join(str(path) for path in written))
