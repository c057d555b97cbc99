"""Where a checkout's things lie, for tests that start programs or read its files."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the checkout
TESTS = ROOT / "tests"
PYTHONPATH = os.pathsep.join((str(ROOT), str(TESTS)))  # of a program that uses the tests' helpers
EVAL_DATA = Path(os.environ.get("FACEFIT_EVAL_DATA", ROOT.parent / "shared" / "eval" / "data"))
