"""Who imports whom: the rules of docs/architecture.md, held by reading the sources.

    python tests/helpers/house.py [FOLDER]

Prints each import that breaks a rule as `file -> file: name` with the rule, and returns 1 when there is one. Nothing is
imported to find out.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# From top to bottom: who stands higher may import who stands lower. Those of one floor do not import each other.
FLOORS = (
    ("commands",),
    ("batch",),
    ("convert", "sequence", "person", "rig", "synth", "evaluate"),
    ("job",),
    ("output",),
    ("detail",),
    ("fit", "importers"),
    ("observe", "scene"),
    ("photo", "model", "render"),
    ("files", "metrics"),
    ("energies",),
    ("geometry",),
    ("anatomy", "compute", "errors", "bundled", "version", "vocabulary"),
)
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
DOORS = ("__init__", "__main__")  # of the package itself: they open every room, and no room opens them

PACKAGE, SOURCE = "facefit", "fitter"  # what is imported, and the folder it lies in
VISITORS = ("benchmarks", "training", "fuzz", "tests", "examples")  # folders that use the package
HEAVY = ("torch", "numpy", "numba", "scipy", "PIL", "rich", "cv2", "mediapipe", "onnxruntime", "skimage", "trimesh",
         "imageio", "pyarrow", "ray")  # fmt: skip


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        file: that imports, relative to the checkout, with `/`.
        line: of the statement.
        module: dotted, absolute; of ours the longest that is a file.
        target: the file of that module, None for what is not ours.
        name: as it is written.
        relative: whether it is written with dots.
        function: the outermost function that it stands in, None at the top of the file.
        typing: under `if TYPE_CHECKING:`, which never runs.
        member: the name is something in the target, not the target itself.
    """

    file: str
    line: int
    module: str
    target: str | None
    name: str
    relative: bool
    function: str | None
    typing: bool
    member: bool


def violations(root: Path) -> list[str]:
    """Each import that breaks a rule, as `file -> file: name (the rule)`, and each circle of files."""
    modules = dict(_modules(root))
    files = {module: path.relative_to(root).as_posix() for module, path in modules.items()}
    imports: list[Import] = []
    names = {}
    for module, path in sorted(modules.items()):  # one tree at a time: to hold all costs more than to read them
        body = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
        imports += _read(module, body, files)
        names[files[module]] = _names(body)
    broken = [
        f"{each.file}:{each.line} -> {each.target or each.module}: {each.name} ({rule})"
        for each in imports
        for rule in _broken(each)
    ]
    missing = [
        f"{each.file}:{each.line} -> {each.target}: {each.name} (no such name there)" for each in _lost(imports, names)
    ]
    circles = [f"{' -> '.join(circle)} (a circle)" for circle in _circles(imports)]
    return broken + missing + circles


def room_of(file: str) -> str | None:
    """fitter/fit/adam.py -> fit, fitter/errors.py -> errors; None for what is not of the package."""
    parts = file.removesuffix(".py").split("/")
    return parts[1] if parts[0] == SOURCE else None


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name, as it is imported -> file."""
    for top in (SOURCE, *VISITORS):
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            parts = (PACKAGE, *parts[1:]) if top == SOURCE else parts
            if parts[:2] == ("tests", "helpers"):
                parts = parts[1:]  # pytest puts tests/ on the path
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _read(module: str, body: list[ast.stmt], files: dict[str, str]) -> Iterator[Import]:
    """Every import of one source that the rules speak of; `files`: dotted name -> file, relative to the checkout."""
    file = files[module]
    package = module if file.endswith("/__init__.py") else module.rpartition(".")[0]
    for node, function, typing in _statements(body, None, False):
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        if isinstance(node, ast.Import):
            named = [(alias.name, alias.name) for alias in node.names]
        else:
            start = package.split(".")[: len(package.split(".")) + 1 - node.level] if relative else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            named = [(f"{base}.{alias.name}", alias.name) for alias in node.names]
        for written, name in named:
            full = written
            while full not in files and "." in full and full.partition(".")[0] in (PACKAGE, "helpers", *VISITORS):
                full = full.rpartition(".")[0]
            target = files.get(full)
            member = isinstance(node, ast.ImportFrom) and full != written
            yield Import(file, node.lineno, full, target, name, relative, function, typing, member)


def _statements(
    body: Iterable[ast.AST], function: str | None, typing: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, str | None, bool]]:
    """Import statements with the outermost function around them, and whether they are for type checkers alone."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, function, typing
        elif isinstance(node, ast.If) and _of_typing(node.test):
            yield from _statements(node.body, function, True)
            yield from _statements(node.orelse, function, typing)
        else:
            inside = function
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                inside = function or node.name
            below = (
                child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)
            )  # no import in it
            yield from _statements(below, inside, typing)


def _of_typing(test: ast.expr) -> bool:
    return any("TYPE_CHECKING" in (getattr(part, "id", ""), getattr(part, "attr", "")) for part in ast.walk(test))


def _broken(each: Import) -> Iterator[str]:
    """The rules that one import breaks, in words."""
    room, top = room_of(each.file), each.file.split("/")[0]
    if room is None:
        yield from _visitor(each, top)
    else:
        yield from _inside(each, room)


def _inside(each: Import, room: str) -> Iterator[str]:
    outside = each.module.partition(".")[0]
    if outside in (*VISITORS, "helpers", "cli"):
        yield f"the package does not know {outside}"
    if outside == PACKAGE and not each.relative:
        yield "imports inside the package are relative"
    if room == "anatomy" and outside == "torch":
        yield "anatomy is pure data and does without torch"
    if room == "commands" and each.function is None and outside in HEAVY and not each.typing:
        yield "commands load nothing heavy before one runs"
    other = room_of(each.target) if each.target else None
    if other is None or each.target == each.file:
        return
    if other in DOORS and room not in DOORS:
        yield "the package itself is its users' door"
    elif room not in DOORS and other != room:
        if room not in LEVEL or other not in LEVEL:
            yield f"{room if room not in LEVEL else other} has no floor yet"
        elif LEVEL[other] < LEVEL[room]:
            yield "upward"
        elif LEVEL[other] == LEVEL[room]:
            yield "siblings do not import each other"
    if each.function is not None and room not in ("commands", *DOORS) and not each.function.startswith("load_"):
        yield "imported inside a function; accepted in commands/ and in functions called load_*"
    if each.name.startswith("_") and not each.name.startswith("__"):
        yield "private to its file"


def _visitor(each: Import, top: str) -> Iterator[str]:
    other = each.target.split("/")[0] if each.target else each.module.partition(".")[0]
    if each.module.partition(".")[0] == SOURCE:
        yield f"the package is imported as {PACKAGE}"
    if other == "cli":
        yield "cli.py is a checkout's doorstep; use facefit.commands"
    if other in VISITORS and other != top and not (top == "tests" and other in ("benchmarks", "training", "fuzz")):
        yield f"{top} uses the package, not {other}"


def _lost(imports: Iterable[Import], names: dict[str, set[str]]) -> Iterator[Import]:
    """Imported names that their file does not have: what is left behind when something moves."""
    for each in imports:
        if each.target and each.member and not {each.name, "__getattr__"} & names[each.target]:
            yield each


def _names(body: Iterable[ast.AST]) -> set[str]:
    """What a file defines or imports, outside of functions and classes."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        else:
            names |= _names(ast.iter_child_nodes(node))
    return names


def _circles(imports: Iterable[Import]) -> list[list[str]]:
    """Files of the package that import each other in a ring, each ring once, by its files.

    Late imports count, and those of type checkers: who has to know the other's types knows the other.
    """
    arrows: dict[str, set[str]] = {}
    for each in imports:
        if room_of(each.file) not in (None, *DOORS) and each.target and each.target != each.file:
            arrows.setdefault(each.file, set()).add(each.target)
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    circles = []

    def visit(file: str) -> None:  # Tarjan's strongly connected components
        number[file] = lowest[file] = len(number)
        path.append(file)
        for other in sorted(arrows.get(file, ())):
            if other not in number:
                visit(other)
                lowest[file] = min(lowest[file], lowest[other])
            elif other in path:
                lowest[file] = min(lowest[file], number[other])
        if lowest[file] == number[file]:
            ring = path[path.index(file) :]
            del path[path.index(file) :]
            if len(ring) > 1:
                circles.append(sorted(ring))

    for file in sorted(arrows):
        if file not in number:
            visit(file)
    return sorted(circles)


def main() -> int:
    """Print what is broken in the checkout, or in the folder that is named."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    broken = violations(root)
    for line in broken:
        print(line)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
