"""`cli.py`, where facefit is not installed."""

import subprocess
import sys

import pytest
from helpers.places import ROOT

RUN = """
import runpy, sys
sys.argv = ["cli.py", "--version"]
runpy.run_path("cli.py", run_name={name!r})
import facefit
print(facefit.__file__)
"""


@pytest.mark.parametrize("name", ["cli", "__mp_main__"])  # imported; and read by a worker process
def test_a_checkout_is_found_by_whoever_reads_the_file(name):
    # -S leaves out what is installed, -I what PYTHONPATH names
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", RUN.format(name=name)], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == str(ROOT / "fitter" / "__init__.py")
