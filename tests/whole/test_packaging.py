"""What is installed: the names and files that setup.cfg, the Makefile and the package itself speak of as text."""

import ast
import configparser
import importlib
import importlib.util
import re
import subprocess
import sys

import pytest
from helpers.places import ROOT

import facefit

SOURCE = ROOT / "fitter"


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def words(text: str) -> list[str]:
    """The lines of a list in setup.cfg, without comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_every_folder_with_sources_is_a_package_that_is_installed():
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
    packages = {".".join(["facefit", *folder.relative_to(SOURCE).parts]) for folder in folders}
    assert sorted(packages | {"facefit.data"}) == words(setup()["options"]["packages"])


def test_every_file_that_is_no_source_is_installed():
    places = dict(line.split(" = ") for line in words(setup()["options"]["package_dir"]))
    assert places == {"facefit": "fitter", "facefit.data": "data"}
    data = dict(setup()["options.package_data"])
    for package, patterns in data.items():
        top = "facefit.data" if package == "facefit.data" else "facefit"
        folder = ROOT.joinpath(places[top], *package.removeprefix(top).strip(".").split("."))
        for pattern in patterns.split(", "):
            assert list(folder.glob(pattern)), f"{package}: no file is called {pattern}"
    listed = {
        path
        for package, patterns in data.items()
        if package != "facefit.data"
        for pattern in patterns.split(", ")
        for path in SOURCE.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    others = {
        path
        for path in SOURCE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others == listed
    installed = {path.name for pattern in data["facefit.data"].split(", ") for path in (ROOT / "data").glob(pattern)}
    assert installed == {path.name for path in (ROOT / "data").iterdir() if path.is_file()}


def test_console_script_and_version():
    script = words(setup()["options.entry_points"]["console_scripts"])
    assert script == ["facefit = facefit.commands:main"]
    assert callable(importlib.import_module("facefit.commands").main)
    module, _, name = setup()["metadata"]["version"].removeprefix("attr: ").rpartition(".")
    assert getattr(importlib.import_module(module), name) == facefit.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", facefit.__version__)


def test_everyone_asks_for_the_same_pythons():
    from facefit.commands.doctor_checks import PYTHON

    (low, high) = (f"{major}.{minor}" for major, minor in PYTHON)
    assert setup()["options"]["python_requires"] == f">={low},<{high}"
    versions = [f"3.{minor}" for minor in range(PYTHON[0][1], PYTHON[1][1])]
    named = [line.rpartition(" ")[2] for line in words(setup()["metadata"]["classifiers"]) if "Python :: 3." in line]
    assert named == versions
    assert f"{PYTHON[0]} <= v < {PYTHON[1]}" in (ROOT / "Makefile").read_text()
    target = 'target-version = "py' + low.replace(".", "") + '"'
    assert target in (ROOT / "pyproject.toml").read_text()


def test_every_public_name_is_there():
    for name in facefit.__all__:
        assert getattr(facefit, name) is not None and name in dir(facefit)
    with pytest.raises(AttributeError, match="fit_foto"):
        facefit.fit_foto  # noqa: B018


def test_type_checkers_see_the_same_public_names():
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.asname: f".{node.module}" for node in block.body for alias in node.names}
    assert seen == facefit._PUBLIC


def test_the_package_alone_loads_nothing_heavy():
    code = "import sys, facefit; print([m for m in ('torch', 'numpy', 'numba', 'PIL') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_modules_that_workers_load_beforehand():
    from facefit.batch.workers import PRELOAD

    assert [module for module in PRELOAD if not exists(module)] == []


def test_modules_that_the_makefile_runs():
    text = (ROOT / "Makefile").read_text() + (ROOT / ".ci" / "run").read_text()
    modules = [
        name for name in re.findall(r"python -m ([\w.]+)", text) if name not in ("mkdocs", "pip", "pytest", "venv")
    ]
    assert modules and [name for name in modules if not exists(name)] == []
    programs = re.findall(r"python ([\w/]+\.py)", text)
    assert [name for name in programs if not (ROOT / name).is_file()] == []


def test_programs_that_sources_say_how_to_run():
    """Lines such as `python -m benchmarks.x` and `python benchmarks/y.py` in docstrings, messages and pages."""
    files = [
        path
        for folder in ("fitter", "benchmarks", "training", "fuzz", "examples")
        for path in (ROOT / folder).rglob("*")
    ]
    wrong = []
    for path in files:
        if path.suffix not in (".py", ".md"):
            continue
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"python3? -m ((?:facefit|benchmarks|training|fuzz)[\w.]*\w)", text):
            if not exists(name):
                wrong.append(f"{path.relative_to(ROOT)}: python -m {name}")
        for name in re.findall(r"python3? ((?:benchmarks|training|examples|tests)/[\w/]+\.py)", text):
            if not (ROOT / name).is_file():
                wrong.append(f"{path.relative_to(ROOT)}: python {name}")
    assert wrong == []


def test_verbose_reaches_the_loggers_of_the_package():
    import logging

    from facefit.commands.options import start

    log = logging.getLogger("facefit.fit.fit")
    before = logging.getLogger("facefit").level, logging.getLogger().handlers[:], logging.getLogger().level
    options = {"focal": None, "fov": None, "model": None, "segmentation": "auto", "perceptual": None, "debug": False}
    try:
        start({**options, "verbose": False})
        assert log.getEffectiveLevel() == logging.ERROR
        start({**options, "debug": True, "verbose": False})
        assert log.getEffectiveLevel() == logging.DEBUG
    finally:
        logging.getLogger("facefit").setLevel(before[0])
        logging.getLogger().handlers[:] = before[1]
        logging.getLogger().setLevel(before[2])


def test_the_release_has_absolute_links():
    spec = importlib.util.spec_from_file_location("release", ROOT / "publish" / "release.py")
    release = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(release)
    url = "https://host/facefit/blob/v1"
    page = "![a picture](docs/a.jpg) [b](CONTRIBUTING.md#tests) [c](https://c) [d](#here)"
    assert release.absolute_links(page, url) == (
        f"![a picture]({url}/docs/a.jpg?raw=true) [b]({url}/CONTRIBUTING.md#tests) [c](https://c) [d](#here)"
    )
    readme = release.absolute_links((ROOT / "README.md").read_text(encoding="utf-8"), url)
    assert not re.findall(r"\]\((?!https?:|#)", readme)
    config = configparser.ConfigParser()
    config.read_string(release.with_urls((ROOT / "setup.cfg").read_text(encoding="utf-8"), url))
    assert config["metadata"]["url"] == url and f"Source = {url}" in config["metadata"]["project_urls"]
    with pytest.raises(ValueError, match="already"):
        release.with_urls("[metadata]\nproject_urls =\n", url)
    with pytest.raises(SystemExit, match="expected the address"):
        release.main("nowhere")


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {facefit.__version__}\n" in text


def test_every_page_of_docs_is_on_the_site():
    text = (ROOT / "publish" / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": (\w+\.md)$", text, re.MULTILINE))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= listed
