"""Pages of the site that stand elsewhere in the repository, or that follow from the code.

README, CONTRIBUTING, CHANGELOG and data/README are pages of the site as well; commands and public names are listed from
the code itself. Each piece of knowledge so stands in one place, and the site cannot fall behind.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

PAGES = {  # file of the repository -> page
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "data/README.md": "data.md",
}

_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?(?=\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    sys.path.insert(0, str(ROOT))  # the package lies in the environment; what it needs of the checkout does not
    pages = {page: moved(source) for source, page in PAGES.items()}
    pages |= {"commands.md": commands(), "reference.md": reference(), "examples.md": examples()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **rest: Any) -> str:
    """Links of docs/ to the files beside it lead to their pages."""
    if page.file.generated_by is not None:
        return markdown
    return _LINK.sub(lambda link: _target(f"docs/{link[1]}", page.file.src_uri) + (link[2] or ""), markdown)


def moved(source: str) -> str:
    """The text of a file of the repository, its links as seen from docs/."""
    folder = Path(source).parent

    def target(link: re.Match) -> str:
        return _target((folder / link[1]).as_posix(), source) + (link[2] or "")

    return _LINK.sub(target, (ROOT / source).read_text())


def _target(path: str, page: str) -> str:
    """A path from the root of the repository, as a link in docs/. Raises PluginError: the site has no such page."""
    path = Path("/", path).resolve().relative_to("/").as_posix()
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    raise PluginError(f"{page}: links to {path}, which is no page of the site (site/hooks.py lists them)")


def commands() -> str:
    """Every command with its help, as a terminal shows it."""
    from facefit.commands import cli

    text = ["# Commands", "", "What `facefit --help` and `facefit COMMAND --help` print.", ""]

    def add(command: click.Command, parent: click.Context | None, name: str) -> None:
        context = click.Context(command, parent, name, terminal_width=100, max_content_width=100)
        text.extend([f"## {context.command_path}", "", "```text", command.get_help(context), "```", ""])
        if isinstance(command, click.Group):
            for below in sorted(command.commands):
                add(command.commands[below], context, below)

    add(cli, None, "facefit")
    return "\n".join(text)


def reference() -> str:
    """Every public name, from its docstring."""
    import facefit

    named = sorted(facefit._PUBLIC.items())  # the lazy names and where they are
    text = ["# Python", "", "`from facefit import NAME`: each is imported when it is first used.", ""]
    for name, module in named:
        text += [f"::: facefit{module}.{name}", ""]
    return "\n".join(text)


def examples() -> str:
    """The scripts of examples/, whole."""
    text = ["# Examples", "", "Scripts of the folder `examples/`; each is run by the tests.", ""]
    for script in sorted((ROOT / "examples").glob("*.py")):
        text += [f"## {script.name}", "", "```python", script.read_text().rstrip(), "```", ""]
    return "\n".join(text)
