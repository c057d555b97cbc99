"""One face under several lights: how far its textures differ, with the photo's light and without.

    python -m benchmarks.bench_albedo DATA [--size 256]

DATA holds synthetic/: two scans, each rendered under eight lights. Of every two renders of a scan, the texels that both
show are compared: mean absolute difference after one gain, as a share of their mean.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from facefit.fit.descent import fit_faces
from facefit.job.job import load_instruments
from facefit.job.options import JobOptions
from facefit.output.texture import unwrapped
from facefit.output.texture_picture import texture_picture
from facefit.photo.photo import read_photo

_SHOWN = 0.7  # confidence from which on a texel counts
_FEWEST = 3000  # texels


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """(N, 3) colours against (N, 3) others: mean absolute difference after the gain that fits best, over the mean."""
    gain = (first * second).sum() / (second * second).sum()
    return float(np.abs(first - gain * second).mean() / first.mean())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=256)
    given = parser.parse_args(arguments)
    tools = load_instruments(JobOptions())
    textures: dict[str, dict[str, np.ndarray]] = {}
    shown: dict[str, np.ndarray] = {}
    for path in sorted((given.data / "synthetic").glob("*.png")):
        if "mask" in path.stem:
            continue
        result = fit_faces(read_photo(path), tools)[0]
        textures[path.stem] = {kind: texture_picture(result, given.size, kind) / 255.0 for kind in ("photo", "albedo")}
        shown[path.stem] = unwrapped(result, given.size).confidence > _SHOWN
    found = []
    for one, other in combinations(sorted(textures), 2):
        both = shown[one] & shown[other]
        if one.split("_")[0] == other.split("_")[0] and both.sum() >= _FEWEST:
            found.append([difference(textures[one][kind][both], textures[other][kind][both]) for kind in textures[one]])
    photo, albedo = np.mean(found, 0)
    print(f"{len(found)} pairs: photo {100 * photo:.1f} %, albedo {100 * albedo:.1f} %, ratio {albedo / photo:.2f}")


if __name__ == "__main__":
    main()
