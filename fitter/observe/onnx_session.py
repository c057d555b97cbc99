"""Networks in ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..errors import FaceFitError
from ..files.untrusted import one_line
from .onnx_inputs import onnx_inputs

# A file of several gigabytes is no network that looks at one face; it would be read into memory as a whole.
LARGEST_FILE = 1 << 30

# Numbers in one input: 2048 x 2048 RGB is 12.6 million. What a network makes of its input is many times as large.
LARGEST_INPUT = 16_000_000


def load_session(path: str | Path, threads: int = 1, missing: str = "") -> Any:
    """An onnxruntime.InferenceSession of the file.

    Args:
        path: the ONNX file.
        threads: of the CPU for one call. They do not spin while they wait, for a batch has other work for the cores.
        missing: said where there is no such file: what it is or how one gets it.
    Raises:
        FaceFitError: onnxruntime or the file is missing, the file is larger than LARGEST_FILE or no ONNX network.
    """
    path = Path(path)
    if not path.is_file():
        raise FaceFitError(f"{path}: no such file" + (f"; {missing}" if missing else ""))
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise FaceFitError(f"{path}: {size / 1e9:.1f} GB; a network of at most {LARGEST_FILE / 1e9:.1f} GB is accepted")
    _check_inputs(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise FaceFitError(f"{path} needs onnxruntime: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its warnings are about the file's making, not about this run
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise FaceFitError(f"{path}: onnxruntime cannot load it ({str(error).splitlines()[0]})") from error


def _check_inputs(path: Path) -> None:
    """Raises FaceFitError: not an ONNX file, or an input that is larger than any picture of a face."""
    try:
        inputs = onnx_inputs(path)
    except (ValueError, OSError) as error:
        raise FaceFitError(f"{path}: onnxruntime cannot load it (not an ONNX file: {one_line(error)})") from None
    for name, shape in inputs.items():
        known = [side for side in shape if side]
        if min(known, default=1) < 0 or math.prod(known) > LARGEST_INPUT:
            sides = " x ".join("any" if side is None else str(side) for side in shape)
            limit = f"accepted: up to {LARGEST_INPUT / 1e6:.0f} million"
            raise FaceFitError(f"{path}: the input {name!a:.60} takes {sides} numbers; {limit}")
