"""A checkout's doorstep: `python cli.py ...` is `facefit ...`, also where facefit is not installed.

The package lies in fitter/ and is called facefit; an install maps the one to the other, and so does this file.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def name_the_checkout() -> None:
    """Let `import facefit` find the folder beside this file."""
    folder = Path(__file__).resolve().parent / "fitter"
    spec = importlib.util.spec_from_file_location(
        "facefit", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["facefit"] = package
    spec.loader.exec_module(package)


if importlib.util.find_spec("facefit") is None:
    name_the_checkout()  # in worker processes too, which read this file under another name

if __name__ == "__main__":
    from facefit.commands import main

    main()
