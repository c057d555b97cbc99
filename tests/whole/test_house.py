"""The package's rooms stand on floors: nobody imports upward, sideways between siblings, or in a circle."""

import re
import subprocess
import sys

import pytest
from helpers.house import FLOORS, violations
from helpers.places import ROOT, TESTS

# A small house in good order: a file for each room that a rule speaks of.
GOOD = {
    "fitter/__init__.py": "from .version import VERSION\n",
    "fitter/version.py": "VERSION = '1'\n",
    "fitter/errors.py": "class FitError(Exception): ...\n",
    "fitter/anatomy/parts.py": "import numpy as np\n\nPARTS = np.arange(8)\n",
    "fitter/energies/prior.py": "from ..anatomy.parts import PARTS\nfrom ..errors import FitError\n",
    "fitter/fit/fit.py": (
        "from typing import TYPE_CHECKING\nfrom ..energies import prior\n_choose = 1\n"
        "if TYPE_CHECKING:\n    from .result import FitResult\n"
        "def load_all():\n    from .result import FitResult\n"
    ),
    "fitter/fit/result.py": "from ..anatomy.parts import PARTS\n\nclass FitResult: ...\n",
    "fitter/importers/install.py": "from ..errors import FitError\n\nX = 1\n",
    "fitter/job/job.py": "import torch\n\nfrom ..fit.fit import load_all\n\ndef run(): ...\n",
    "fitter/commands/fit.py": "import click\n\ndef fit():\n    import torch\n    from ..job.job import load_all\n",
    "cli.py": "from facefit.commands import fit\n\ncli = main = fit\n",
    "benchmarks/speed.py": "from facefit.fit.fit import load_all\nfrom benchmarks.table import row\n",
    "benchmarks/table.py": "row = 1\n",
    "training/train.py": "from facefit.anatomy.parts import PARTS\n",
    "tests/helpers/toys.py": "from facefit.errors import FitError\n",
    "tests/fit/test_fit.py": "from helpers.toys import FitError\nfrom benchmarks.table import row\n",
}


@pytest.fixture
def house(tmp_path):
    """Builds the small house with more lines at the top or the end of its files, and says what is wrong with it."""

    def build(more: dict[str, str]) -> list[str]:
        for name, text in (GOOD | {name: GOOD.get(name, "") + text for name, text in more.items()}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return violations(tmp_path)

    return build


def test_this_checkout():
    assert "\n".join(violations(ROOT)) == ""


def test_every_folder_has_a_floor():
    rooms = {path.name for path in (ROOT / "fitter").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= {room for floor in FLOORS for room in floor}


def test_a_house_in_good_order(house):
    assert house({}) == []


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("fitter/importers/install.py", "from ..job.job import run", "fitter/job/job.py: run (upward)"),
        ("fitter/importers/install.py", "from ..job import job", "fitter/job/job.py: job (upward)"),
        ("fitter/fit/result.py", "from ..importers.install import X", "importers/install.py: X (siblings"),
        ("fitter/anatomy/parts.py", "from ..errors import FitError", "fitter/errors.py: FitError (siblings"),
        ("fitter/anatomy/parts.py", "import torch", "torch: torch (anatomy"),
        ("fitter/anatomy/parts.py", "def f():\n    from torch import nn", "torch.nn: nn (anatomy"),
        ("fitter/commands/fit.py", "from numpy import zeros", "numpy.zeros: zeros (commands load nothing heavy"),
        ("fitter/job/job.py", "def run():\n    from ..fit.result import FitResult", "(imported inside a function"),
        ("fitter/job/job.py", "class A:\n    def f(self):\n        from .. import errors", "(imported inside"),
        ("fitter/job/job.py", "import facefit.fit.result", "(imports inside the package are relative"),
        ("fitter/job/job.py", "from facefit.errors import FitError", "(imports inside the package are relative"),
        ("fitter/job/job.py", "from ..fit.fit import _choose", "fitter/fit/fit.py: _choose (private to its file"),
        ("fitter/job/job.py", "from .. import VERSION", "fitter/__init__.py: VERSION (the package itself"),
        ("fitter/job/job.py", "from benchmarks.table import row", "(the package does not know benchmarks"),
        ("fitter/job/job.py", "from ..errors import OldError", "fitter/errors.py: OldError (no such name there"),
        ("tests/fit/test_fit.py", "from facefit.fit.fit import old", "fitter/fit/fit.py: old (no such name there"),
        ("fitter/cellar/old.py", "from ..errors import FitError", "(cellar has no floor yet"),
        ("benchmarks/speed.py", "from cli import cli", "(cli.py is a checkout's doorstep"),
        ("benchmarks/speed.py", "import fitter.errors", "(the package is imported as facefit"),
        ("benchmarks/speed.py", "from training.train import PARTS", "(benchmarks uses the package, not training"),
        ("training/train.py", "from benchmarks.table import row", "(training uses the package, not benchmarks"),
        ("training/train.py", "from tests.helpers.toys import FitError", "(training uses the package, not"),
        ("tests/fit/test_fit.py", "from cli import main", "(cli.py is a checkout's doorstep"),
    ],
)
def test_one_wrong_import_is_named(house, file, line, expected):
    (found,) = house({file: line + "\n"})
    assert found.startswith(f"{file}:") and expected in found


def test_a_circle_is_named(house):
    assert house({"fitter/fit/result.py": "from .fit import load_all\n"}) == [
        "fitter/fit/fit.py -> fitter/fit/result.py (a circle)"
    ]
    again = {"fitter/fit/result.py": "from .end import x\n", "fitter/fit/end.py": "from .fit import load_all as x\n"}
    assert house(again) == ["fitter/fit/end.py -> fitter/fit/fit.py -> fitter/fit/result.py (a circle)"]


def test_what_only_type_checkers_see_makes_a_circle_too(house):
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .fit import load_all\n"
    assert house({"fitter/fit/result.py": late}) == ["fitter/fit/fit.py -> fitter/fit/result.py (a circle)"]


def test_as_a_program_it_prints_and_fails(house, tmp_path):
    def check():
        program = [sys.executable, str(TESTS / "helpers" / "house.py"), str(tmp_path)]
        return subprocess.run(program, capture_output=True, text=True)

    house({})
    assert (check().returncode, check().stdout) == (0, "")
    house({"fitter/energies/prior.py": "from ..job import job\n"})
    assert check().returncode == 1 and "fitter/job/job.py: job (upward)" in check().stdout


class TestArchitecturePage:
    """docs/architecture.md shows the folders that are there and the floors that are held."""

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree, floors = re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[:2]

    def test_the_tree_is_the_folders(self):
        shown, room = [], ""
        for indent, name, role in re.findall(r"^( +)(\w+(?:/|\.py)) +(\S.*)$", self.tree, re.MULTILINE):
            room = name if len(indent) == 2 else room
            shown.append(name if len(indent) == 2 else room + name)
            assert role
        source = ROOT / "fitter"
        folders = {f"{path.parent.relative_to(source)}/" for path in source.rglob("__init__.py")} - {"./"}
        files = {path.name for path in source.glob("*.py")} - {"__init__.py", "__main__.py"}
        assert sorted(shown) == sorted(folders | files)

    def test_the_tree_stands_from_top_to_bottom(self):
        level = {room: number for number, floor in enumerate(FLOORS) for room in floor}
        rooms = re.findall(r"^  (\w+)(?:/|\.py)", self.tree, re.MULTILINE)
        assert [level[room] for room in rooms] == sorted(level[room] for room in rooms)

    def test_the_floors_are_those_of_the_check(self):
        assert tuple(tuple(line.split(" | ")) for line in self.floors.splitlines()) == FLOORS
