"""What a batch has to do: for every photo the name of its mesh, and whether an earlier run's result still holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ExitCode, OutputError
from ..photo.photo_list import ListedPhoto, list_photos
from .folder_store import FolderStore
from .manifest import Record
from .names import mesh_names
from .store import Store


@dataclass(frozen=True)
class Task:
    """One photo of a batch, or one person, before it is fitted.

    Attributes:
        photo: its path, of a person the first one's; `key`: its name in the manifest, of a person that of the group.
        mesh: name of its mesh in the output folder, with `/`.
        bytes, modified: of the photo's file; of a person's together, and of the one that changed last.
        past: the record of an earlier run that still holds, or None; "done", or "failed" and not to be tried again.
        problem: why there is no such photo: the line of a list names none.
        thumbnails: the past record lacks the small pictures of the contact sheet, which are made from its files.
        photos: of a person, all of them; empty for a photo of its own.
    """

    photo: Path
    key: str
    mesh: str
    bytes: int
    modified: float
    past: Record | None = None
    thumbnails: bool = False
    problem: str = ""
    photos: tuple[ListedPhoto, ...] = ()

    @property
    def names(self) -> list[str]:
        """What a person's photos are called in the manifest."""
        return [photo.key for photo in self.photos]

    @property
    def files(self) -> list[Path]:
        """What is read, and must not be overwritten."""
        return [self.photo, *(photo.path for photo in self.photos)]

    @property
    def to_do(self) -> bool:
        """Whether anything is left to do for the photo: all of it, or its small pictures."""
        return self.past is None or self.thumbnails


def list_batch(
    sources: Sequence[str | os.PathLike], store: Store, ignored: Callable[[Path], object] | None = None,
    group_by: str | None = None,
) -> list[ListedPhoto]:  # fmt: skip
    """The photos of a batch, without its own results; touches nothing.

    Args:
        sources, ignored, group_by: see `list_photos`.
    Raises:
        ImageError: no photos. OutputError: the results would lie among the photos.
    """
    folder = store.root if isinstance(store, FolderStore) else None
    if folder is not None:
        _refuse_own_folder(sources, folder)
    return list_photos(sources, leave_out=folder, ignored=ignored, group_by=group_by)


def mesh_keys(photos: Sequence[ListedPhoto], people: bool) -> dict[str, str]:
    """Key in the manifest -> what its mesh is named by (`mesh_names`), in order; nothing for lines without a photo.

    Args:
        people: whether each group is one, with a mesh of its own; the ending keeps the dots of its name.
    """
    if not people:
        return {photo.key: photo.key for photo in photos if not photo.problem}
    return {_group(photo): f"{PurePosixPath(_group(photo))}.person" for photo in photos}


def plan_batch(
    photos: Sequence[ListedPhoto], store: Store, suffix: str = ".obj", *, overwrite: bool = False,
    retry_failed: bool = False, settings: dict | None = None, thumbnails: bool = False, people: bool = False,
) -> list[Task]:  # fmt: skip
    """What is to be done for every photo or person, to be asked while the store is locked; makes the output folder.

    One is left alone when its last record has the same photos (size and time of change), suffix and settings, and is
    either "done" with every output there in its size, or "failed" for good: not because of the machine.

    Args:
        photos: of `list_batch`. people: each group of them is one task.
        suffix: of the meshes.
        overwrite: fit again what is done; retry_failed: fit again what has failed.
        settings: JSON values; a photo that was done under others is fitted again.
        thumbnails: what is done shall have them, too.
    Raises:
        OutputError: the output folder cannot be used.
    """
    store.prepare()
    before = store.records()
    taken = {name: record.photo for record in before.values() if record.status == "done" for name in record.outputs[:1]}
    keys = mesh_keys(photos, people)
    named = mesh_names(list(keys.values()), suffix)
    # nothing is ever written for a line that names no photo
    nothing = PurePosixPath(f"nothing{suffix}")
    tasks = []
    for key, members in _tasks(photos, people).items():
        name = named[keys[key]] if key in keys else nothing
        tasks.append(
            _task(key, members, people, _free_name(name, key, taken), before.get(key), store, suffix, overwrite,
                  retry_failed, settings or {}, thumbnails and isinstance(store, FolderStore))
        )  # fmt: skip
    return tasks


def _group(photo: ListedPhoto) -> str:
    return photo.group or photo.key  # a line without a group fails alone


def _tasks(photos: Sequence[ListedPhoto], people: bool) -> dict[str, list[ListedPhoto]]:
    """Key -> its photos."""
    found: dict[str, list[ListedPhoto]] = {}
    for photo in photos:
        found.setdefault(_group(photo) if people else photo.key, []).append(photo)
    return found


def _task(
    key: str, photos: Sequence[ListedPhoto], people: bool, mesh: str, past: Record | None, store: Store, suffix: str,
    overwrite: bool, retry_failed: bool, settings: dict, thumbnails: bool,
) -> Task:  # fmt: skip
    stamps = [stamp(photo.path) for photo in photos]
    size, modified = sum(size for size, _ in stamps), max(when for _, when in stamps)
    members = tuple(photos) if people else ()
    holds = (
        past is not None and not overwrite and past.settings == settings
        and (past.bytes, past.modified, past.photos) == (size, modified, [photo.key for photo in members])
        and (_is_there(past, store, suffix) if past.status == "done" else _is_final(past) and not retry_failed)
    )  # fmt: skip
    past = past if holds else None
    bare = (
        thumbnails
        and past is not None
        and not people  # theirs are made with them
        and any(
            face.get("mesh") and (not face.get("thumbnail") or store.size(face["thumbnail"]) is None)
            for face in past.faces
        )
    )
    problem = "" if people else photos[0].problem
    return Task(photos[0].path, key, mesh, size, modified, past, bare, problem, members)


def _is_final(record: Record) -> bool:
    """Whether the photo is to blame for its failure; earlier versions recorded a full disk as such."""
    return record.final and record.exit_code != ExitCode.BAD_OUTPUT


def _is_there(record: Record, store: Store, suffix: str) -> bool:
    """Every output of a photo that was done exists in the size it was written in."""
    if not record.outputs or not record.outputs[0].endswith(suffix):
        return False
    sizes = [store.size(name) for name in record.outputs]
    if not record.output_bytes:  # of an older version, which did not write the sizes
        return None not in sizes
    return sizes == record.output_bytes


def _free_name(name: PurePosixPath, key: str, taken: dict[str, str]) -> str:
    while taken.get(name.as_posix(), key) != key:  # an earlier run gave this name to another photo
        name = name.with_name(f"{name.stem}_{name.suffix}")
    return name.as_posix()


def _refuse_own_folder(sources: Sequence[str | os.PathLike], folder: Path) -> None:
    """Textures and overlays beside the photos would be taken for photos by the next run."""
    whole = folder.resolve()
    for source in map(Path, sources):
        if source.is_dir() and source.resolve() == whole:
            raise OutputError(f"{folder}: is the folder of the photos; choose another, textures would become photos")


def stamp(photo: Path) -> tuple[int, float]:
    """Bytes and time of the last change of a file; zeros when it is not there: reading it says so."""
    try:
        status = photo.stat()
    except OSError:
        return 0, 0.0
    return status.st_size, status.st_mtime
