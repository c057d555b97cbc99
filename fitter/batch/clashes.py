"""Whether a batch would write over something that it reads, or its sheet over its results; asked before it begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PurePosixPath

from ..errors import ClashError
from ..files.outputs import check_clashes
from ..photo.photo_list import ListedPhoto
from .folder_store import LOCK, PARTIAL, FolderStore
from .manifest import MANIFEST, TABLE
from .names import mesh_names, meshes_of
from .plan import mesh_keys
from .store import Store


def check_batch(
    photos: Sequence[ListedPhoto], inputs: Iterable[Path], store: Store, suffix: str, sheet: Path | None,
    people: bool = False,
) -> None:  # fmt: skip
    """Refuse what would overwrite a photo, another input, the manifest or a result.

    Args:
        photos: of the batch; people: each group of them has one mesh. inputs: everything else that is read: lists,
            models, parsers.
        suffix: of the meshes. sheet: where the contact sheet goes; in an object store its name there.
    Raises:
        ClashError: naming what would be overwritten. Nothing was touched.
    """
    names = mesh_names(list(mesh_keys(photos, people).values()), suffix)
    meshes = {str(name.with_suffix("")).casefold() for name in names.values()}
    if not isinstance(store, FolderStore):
        if sheet is not None and _is_taken(PurePosixPath(sheet.as_posix()), meshes, suffix):
            raise ClashError(f"{sheet}: is the name of a result or of the manifest; choose another name for the sheet")
        return
    read = [*(photo.path for photo in photos), *inputs]
    own = [store.root / name for name in (MANIFEST, TABLE, LOCK)]
    check_clashes([*own, *([] if sheet is None else [sheet])], read)
    root = os.path.realpath(store.root)
    inside = _Inside(root)
    if sheet is not None and (name := inside.name(sheet)) is not None and _is_taken(name, meshes, suffix):
        raise ClashError(f"{sheet}: is the name of a result; choose another name for the sheet")
    for path in read:
        if (name := inside.name(path)) is not None and _is_taken(name, meshes, suffix):
            raise ClashError(f"{path}: lies where a result of this batch will be written; choose another folder")


class _Inside:
    """Where a path lies in a folder; asks for each folder once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._parents: dict[Path, str] = {}

    def name(self, path: Path) -> PurePosixPath | None:
        """Its name relative to the folder, None outside of it."""
        if path.is_symlink():
            real = os.path.realpath(path)
        else:
            if path.parent not in self._parents:
                self._parents[path.parent] = os.path.realpath(path.parent)
            real = os.path.join(self._parents[path.parent], path.name)
        return (
            PurePosixPath(PurePath(real).relative_to(self._root)) if PurePath(real).is_relative_to(self._root) else None
        )


def _is_taken(name: PurePosixPath, meshes: set[str], suffix: str) -> bool:
    if name.parts[:1] == (PARTIAL,) or str(name) in (MANIFEST, TABLE, LOCK):
        return True
    if name.suffix.lower() == ".html" and suffix.lower() != ".html":
        return False  # a sheet may be called as a photo: only pages of faces are results with that suffix
    return any(str(mesh).casefold() in meshes for mesh in meshes_of(name))
