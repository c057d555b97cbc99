"""Train the decoder, write it as model files beside the linear models of the same size, and say how good they are.

python -m training.decoder.textures DATA/fasseg DATA/fasseg_train DATA/wild --out build/textures.npz
python -m training.decoder --ict ict --textures build/textures.npz --sizes 40 80 --out build/decoder
python -m training.decoder.evaluate build/decoder --scans DATA/scans --textures build/textures.npz
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import facefit  # noqa: F401  before torch and numpy: it sets their threads

import numpy as np  # isort: skip

from facefit.anatomy.parts import LABEL
from facefit.bundled import model_path
from facefit.compute.sparse_map import SparseMap
from facefit.model.model_file import load_model, save_arrays
from training.decoder.files import linear_arrays, model_arrays
from training.decoder.network import face_maps
from training.decoder.people import populations, upsampling
from training.decoder.samples import SHAPES, SKINS, held_out, read_skins, shapes, skin_samples
from training.decoder.train import train


def main(arguments: list[str] | None = None) -> None:
    """See the module."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ict", default="ict", help="model file of ICT-FaceKit, or the name it was added under")
    parser.add_argument("--textures", type=Path, default=Path("build/textures.npz"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[40, 80], help="numbers of a code")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument(
        "--logarithms", action="store_true", help="the skins' network makes logarithms: tone multiplies"
    )
    parser.add_argument("--out", type=Path, default=Path("build/decoder"))
    options = parser.parse_args(arguments)
    model = load_model()
    with np.load(model_path()) as file:
        arrays = dict(file)
    upsample = SparseMap.from_rows(arrays["upsample_index"], arrays["upsample_weight"], len(arrays["verts"]))
    maps = face_maps(model, arrays["upsample_index"].astype(int), arrays["upsample_weight"])
    of_face = (model.vertex_label.numpy() >= 1) & (model.vertex_label.numpy() <= LABEL["lower_lip"])
    matrix = upsampling(arrays)
    face = np.asarray(matrix.T @ of_face / matrix.sum(0))[0] > 0.5
    both = populations(model_path(), options.ict)
    skins = read_skins(options.textures, model, arrays)
    learnt, _ = held_out(skins)
    people = shapes(both, SHAPES, seed=1)
    tints = skin_samples(skins[learnt], model, arrays, SKINS, seed=1)
    options.out.mkdir(parents=True, exist_ok=True)
    np.savez(options.out / "held_out.npz", shapes=shapes(both, 20, seed=2), face=face)
    for size in options.sizes:
        trained = train(people, tints, size, options.steps, model, upsample, maps, face, options.logarithms)
        save_arrays(options.out / f"decoder{size}.npz", model_arrays(arrays, trained))
        save_arrays(options.out / f"linear{size}.npz", linear_arrays(arrays, trained))


if __name__ == "__main__":
    main()
