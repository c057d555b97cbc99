"""Bring the expressions of ICT-FaceKit onto the default head, for `make model`.

    facefit models add ict --download
    python -m training.head_motion --out build/head_motion.npz
    python -m training.head_motion --compare                     how far the head's expressions differ from ICT's

What is written is the motion of the head's skin and jaw, in mm at activation 1: a derivative of ICT-FaceKit (MIT).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from facefit.bundled import model_path
from facefit.importers.default_head.makehuman import read_face_units, read_head
from facefit.importers.default_head.teeth import with_teeth
from facefit.model.face_model import FaceModel
from facefit.model.model_file import load_model
from training.head_motion.transfer import differences, head_motion


def compare(ict: FaceModel, head: FaceModel) -> None:
    """Print the table of `differences`."""
    rows = differences(ict, head)
    print("| expression | ICT, mm | head, mm | difference | at its best amplitude |\n|---|---|---|---|---|")
    mean = tuple(np.mean(list(rows.values()), 0))
    for name, row in {**rows, "**mean**": mean}.items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m training.head_motion", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/head_motion.npz"), help="the .npz to write")
    parser.add_argument("--compare", action="store_true", help="write nothing, compare what there is")
    parser.add_argument("--ict", default="ict", help="model file of ICT-FaceKit, or the name it was added under")
    parser.add_argument("--head", type=Path, default=model_path(), help="model file of the default head to register on")
    options = parser.parse_args()
    ict, head = load_model(options.ict), load_model(options.head)
    if options.compare:
        compare(ict, head)
        return
    base = with_teeth(read_head())
    with np.load(options.head) as data:
        index, weight, control = data["upsample_index"], data["upsample_weight"], data["verts"].astype(float)
    row = np.repeat(np.arange(len(index)), index.shape[1])
    matrix = csr_matrix((weight.ravel(), (row, index.ravel())), (len(index), len(control)))
    arrays = head_motion(ict, head, control, matrix, base, read_face_units(base))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays)
    print(f"{options.out}: {len(arrays['names'])} expressions, {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
