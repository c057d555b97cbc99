"""README, docs and the other pages: what they tell somebody to type works, and what they point to is there."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
import shlex
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click
import pytest
from helpers.places import ROOT

from facefit.commands import cli

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md",
                *ROOT.glob("benchmarks/report/*.md")])  # fmt: skip
OF_A_CHECKOUT = ("docs", "benchmarks", "training", "fuzz", "tests", "examples", "fitter", ".ci")


@dataclass(frozen=True)
class Block:
    """A block of code between fences: its page, language and text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def words_in_code(page: Path) -> list[str]:
    """What stands between single backticks, outside of blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(word.split()) for word in re.findall(r"`([^`]+)`", text)]


def lines_of_shell() -> list[tuple[str, str]]:
    """Where, and one command: lines that end in a backslash are joined, comments are left out."""
    found = []
    for block in BLOCKS:
        if block.language == "":
            text = block.text.replace("\\\n", " ")
            for line in text.splitlines():
                for part in line.split("&&"):
                    found.append((block.name, part.split(" #")[0].strip()))
    return found


BLOCKS = blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]
FACEFIT = [(where, line) for where, line in lines_of_shell() if re.match(r"facefit(?!: error)\b", line)]
named = pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
page_by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_there_is_something_to_test():
    assert len(PYTHON) >= 3 and len(FACEFIT) >= 30 and len(PAGES) >= 14
    assert {block.language for block in BLOCKS} <= {"", "python", "json"}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "json"], ids=lambda block: block.name)
def test_json_can_be_read(block):
    assert json.loads(block.text)


@named
def test_python_names_are_defined(block):
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", "-"]
    done = subprocess.run(command, input=block.text, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.name}\n{done.stdout}{done.stderr}"


def stand_in(real: type | Callable) -> mock.Mock:
    """Takes what the real one takes, also by type where that is a class of facefit's, and gives something alike."""
    hints = typing.get_type_hints(real.__init__ if inspect.isclass(real) else real)
    double = mock.create_autospec(real)

    def check(*args, **kwargs):
        for name, value in inspect.signature(real).bind(*args, **kwargs).arguments.items():
            unknown = issubclass(value.__class__, mock.NonCallableMock)  # what a method of a stand-in gave
            if ours(hints.get(name)) and not unknown:
                assert isinstance(value, hints[name]), f"{real.__name__}: {name} is no {hints[name].__name__}"
        return mock.DEFAULT

    double.side_effect = check
    if ours(hints.get("return")):
        double.return_value.__class__ = hints["return"]  # for isinstance; fields of instances are on no class
    return double


def ours(kind: object) -> bool:
    """A class of facefit's that is no protocol."""
    return inspect.isclass(kind) and kind.__module__.startswith("facefit") and not getattr(kind, "_is_protocol", False)


@named
def test_python_runs_with_stand_ins_of_the_same_signatures(block, monkeypatch, tmp_path, capsys):
    """Every name that is imported from facefit is replaced by a stand-in that takes the same arguments."""
    tree = ast.parse(block.text)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module.startswith("facefit")]
    for node in imports:
        module = importlib.import_module(node.module)
        for alias in node.names:
            real = getattr(module, alias.name)
            if inspect.isclass(real) or inspect.isfunction(real):
                monkeypatch.setattr(module, alias.name, stand_in(real), raising=False)
    if not imports:
        monkeypatch.setattr("numpy.load", mock.MagicMock())
        monkeypatch.setattr("numpy.sqrt", mock.MagicMock())
        monkeypatch.setattr("numpy.savez", lambda *args, **arrays: None)
    monkeypatch.chdir(tmp_path)
    exec(compile(tree, block.name, "exec"), {"__name__": "page"})


def innermost(arguments: list[str]) -> None:
    """Parse as `facefit` does, without running anything. Raises what click raises for what is not accepted."""

    real = click.Command.invoke

    def groups_only(command: click.Command, context: click.Context):
        return real(command, context) if isinstance(command, click.Group) else None

    with mock.patch.object(click.Command, "invoke", groups_only):
        cli.main(arguments, standalone_mode=False)


@pytest.mark.parametrize(("where", "line"), FACEFIT, ids=lambda value: value[:60])
def test_facefit_accepts(where, line):
    try:
        innermost(shlex.split(line)[1:])
    except click.ClickException as error:
        pytest.fail(f"{where}: {line}: {error.format_message()}")


@page_by_page
def test_facefit_in_the_text(page):
    """`facefit eval scan --align both`: the command exists and has the options."""
    wrong = []
    for word in words_in_code(page):
        if not re.match(r"facefit [a-z]", word) or word.startswith("facefit photo"):
            continue
        group, rest = cli, word.split()[1:]
        while isinstance(group, click.Group) and rest and rest[0] in group.commands:
            group, rest = group.commands[rest[0]], rest[1:]
        if group is cli or (isinstance(group, click.Group) and rest and re.fullmatch("[a-z-]+", rest[0])):
            wrong.append(f"{word}: no such command")
            continue
        known = {option for parameter in group.params for option in parameter.opts}
        given = [option.split("=")[0] for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", " ".join(rest))]
        wrong += [f"{word}: no option {option}" for option in given if option not in known]
    assert wrong == []


@page_by_page
def test_make_knows_its_targets(page):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    asked = re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert set(asked) <= targets


@page_by_page
def test_programs_exist(page):
    text = page.read_text(encoding="utf-8")
    modules = re.findall(r"python3? -m ((?:facefit|benchmarks|training|fuzz)[\w.]*\w)", text)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []
    files = re.findall(r"(?:python3?|pytest) ((?:benchmarks|training|tests|examples)/[\w/]+\.py)", text)
    assert [name for name in files if not (ROOT / name).is_file()] == []


@page_by_page
def test_files_and_modules_exist(page):
    """`benchmarks/speed.py`, `facefit.fit.config`, `facefit.output.document.reproject`."""
    wrong = []
    for word in words_in_code(page):
        if re.fullmatch(rf"({'|'.join(OF_A_CHECKOUT)})/[\w./-]*", word) and not (ROOT / word).exists():
            wrong.append(word)
        elif re.fullmatch(r"facefit(\.[A-Za-z_]\w*)+", word) and not resolves(word):
            wrong.append(word)
    assert wrong == []


def resolves(name: str) -> bool:
    """Whether it is a module, or what one holds."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


@page_by_page
def test_pages_speak_of_facefit(page):
    text = page.read_text(encoding="utf-8")
    if page.name not in ("architecture.md", "CHANGELOG.md"):  # where the package lies, what it was called
        assert not re.search(r"\bfitter\b(?! ?[=.])", text)
    assert not re.search(r"\bfitter\.[a-z_]+ import|import fitter|from fitter", text)


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as GitHub has it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@page_by_page
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if page.parent == ROOT / "benchmarks" / "report":  # its text becomes part of docs/results.md
            target = (ROOT / "docs" / place).resolve() if place else ROOT / "docs" / "results.md"
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_a_wrong_page_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One head\n\n[a](#one-head) [b](#two) `facefit.fit.config` `facefit.fit.nothing`\n")
    assert anchors(page) == {"one-head"}
    assert resolves("facefit.fit.config.preset") and not resolves("facefit.fit.nothing")
    for line in ("parse photo.jpg", "photo.jpg -o mesh.obj --colour", "models ad ict", "batch in -o out --workers x"):
        with pytest.raises(click.ClickException):
            innermost(line.split())
