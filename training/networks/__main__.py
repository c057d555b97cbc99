"""Make the face networks that facefit ships, from those that MediaPipe published.

    python -m training.networks --out data                   the wheel is fetched by pip into build/
    python -m training.networks --out data --wheel FILE      or given

The wheel is read as an archive: neither it nor what it depends on is installed. What is read must have its publisher's
sums; those of what was made are written to OUT/networks.sha256. The same wheel gives the same files.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from training.networks.convert import NETWORKS, convert
from training.networks.wheel import download, read


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m training.networks", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX files")
    parser.add_argument("--wheel", type=Path, help="mediapipe's wheel; default: fetched into build/")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    wheel = options.wheel or download(Path("build"))
    sums = []
    for name, network in NETWORKS.items():
        content = convert(network, read(wheel, network.published)).SerializeToString(deterministic=True)
        (options.out / name).write_bytes(content)
        sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
        print(f"{options.out / name}: {len(content) / 1e6:.2f} MB, from {network.published.name}")
    (options.out / "networks.sha256").write_text("".join(sums))


if __name__ == "__main__":
    main()
