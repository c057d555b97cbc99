"""Skin of the people on labelled photos at the default model's vertices, by fits of those photos.

    python -m training.decoder.textures FOLDER ... --out build/textures.npz

Of a folder with an index.json whose items have a `yaw` only photos up to 30 degrees count; of another one all pictures.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip

from facefit.errors import FaceFitError
from facefit.fit.config import preset
from facefit.fit.fit import fit_photo
from facefit.model.model_file import load_model
from facefit.observe.detector import load_detector
from facefit.photo.photo import read_photo
from training.observation.skins import photo_skin

logger = logging.getLogger(__name__)

TURNED = 30  # degrees of yaw at most
SUFFIXES = (".png", ".jpg", ".jpeg")


def skins(folders: list[Path]) -> dict[str, np.ndarray]:
    """Of N photos: names, persons (N,), colours (N, V, 3) under white light, how much each counts (N, V), the fitted
    albedo (N, V, 3); float16."""
    model, detector = load_model(), load_detector()
    rows: dict[str, list] = {"name": [], "person": [], "colours": [], "weight": [], "fitted": []}
    for folder in folders:
        for name, person in _photos(folder):
            path = next(p for s in SUFFIXES if (p := folder / f"{name}{s}").is_file())
            try:
                result = fit_photo(read_photo(path), preset("fast"), model=model, detector=detector)[0]
            except FaceFitError as error:
                logger.info("%s: %s", path, error)
                continue
            colours, weight = photo_skin(result)
            rows["name"].append(f"{folder.name}/{name}")
            rows["person"].append(person)
            rows["colours"].append(colours.astype(np.float16))
            rows["weight"].append(weight.astype(np.float16))
            rows["fitted"].append(model.albedo(result.parameters.albedo)[0].numpy().astype(np.float16))
            logger.info("%s", path)
    return {name: np.array(values) for name, values in rows.items()}


def _photos(folder: Path) -> list[tuple[str, str]]:
    """Name and person of each."""
    index = folder / "index.json"
    found = json.loads(index.read_text()) if index.is_file() else []
    if isinstance(found, dict):
        return [
            (item["name"], item.get("person", item["name"])) for item in found["items"] if abs(item["yaw"]) <= TURNED
        ]
    return [(path.stem, path.stem) for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("build/textures.npz"))
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(options.out, **skins(options.folders))


if __name__ == "__main__":
    main()
