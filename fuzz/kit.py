"""What every attack starts from: photos, models and results that are whole, made once for all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from facefit.commands import cli

from .originals import HEIGHT, WIDTH, picture
from .toys import write_toy

QUICK = ("--segmentation", "polygons", "--energies", "landmark", "--iterations", "1", "--texture-size", "16")
SET = ("m.obj", "m.mtl", "m_texture.png", "m.json")  # what a fit writes for -o m.obj


def facefit(*arguments: object) -> int:
    """The command in this process; its exit code."""
    try:
        cli([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code) if isinstance(end.code, int) else 0
    return 0


@dataclass(frozen=True)
class Kit:
    """A folder with a.png and b.png (photos), toy.npz and other.npz (models), a/ and b/ (the photos' fits, `SET`),
    to_a/ and to_b/ (these converted to the other model), and batch/ (photos/, out/ with its sheet)."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def options(self) -> tuple[str, ...]:
        """Of a fit in milliseconds."""
        return (*QUICK, "--model", str(self / "toy.npz"))

    def lay(self, folder: Path, *names: str) -> list[Path]:
        """Copies of some of these files in another folder."""
        for name in names:
            (shutil.copytree if (self / name).is_dir() else shutil.copy)(self / name, folder / Path(name).name)
        return [folder / Path(name).name for name in names]


def make_kit(folder: Path) -> Kit:
    """Fill a folder. Raises RuntimeError: a whole file is refused."""
    kit = Kit(folder)
    write_toy(kit / "toy.npz")
    write_toy(kit / "other.npz", 9, 9)
    for seed, name in ((1, "a"), (2, "b")):
        picture(seed, WIDTH + 4 * seed, HEIGHT + 4 * seed).save(kit / f"{name}.png")
        _do("fit", kit / f"{name}.png", "-o", _folder(kit / name) / "m.obj", *kit.options, "-q")
        _do("convert", kit / name / "m.json", "--to", kit / "other.npz", "--model", kit / "toy.npz", "-o",
            _folder(kit / f"to_{name}") / "m.obj", "--texture-size", "16", "-q")  # fmt: skip
    photos = _folder(_folder(kit / "batch") / "photos")
    kit.lay(photos, "a.png", "b.png")
    (photos / "broken.png").write_bytes((kit / "a.png").read_bytes()[:200])
    _do("batch", photos, "-o", kit / "batch/out", "--sheet", kit / "batch/out/sheet.html", "--workers", "0",
        *kit.options, "-q", code=7)  # fmt: skip
    return kit


def _folder(path: Path) -> Path:
    os.makedirs(path, exist_ok=True)
    return path


def _do(*arguments: object, code: int = 0) -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        found = facefit(*arguments)
    if found != code:
        raise RuntimeError(f"facefit {arguments[0]} of whole files: exit code {found}: {said.getvalue()}")
