"""The frames of a sequence in their order: from a folder of pictures, or from a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import ImageError, InputError
from .photo import Photo, read_photo
from .photo_list import PHOTO_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".mts", ".ogv", ".3gp")
DEFAULT_FPS = 25.0  # of a folder of pictures, which does not say
INSTALL_VIDEO = "pip install 'facefit[video]'"


@dataclass(frozen=True)
class Frame:
    """One picture of a sequence.

    Attributes:
        number: in the source, from 0 on.
        seconds: since the source's first frame.
        name: the picture's file, or the video's with the number.
        photo: None when it cannot be read; `error` says why.
    """

    number: int
    seconds: float
    name: str
    photo: Photo | None
    error: str = ""


@dataclass(frozen=True)
class FrameSource:
    """A sequence before it is read.

    Attributes:
        path: the folder or the video.
        fps: frames a second.
        every: only each `every`-th frame is taken. limit: at most so many are taken; None: all.
    """

    path: Path
    fps: float
    every: int = 1
    limit: int | None = None

    def __iter__(self) -> Iterator[Frame]:
        taken = 0
        for number, name, photo, error in _folder(self) if self.path.is_dir() else _video(self):
            yield Frame(number, number / self.fps, name, photo, error)
            taken += 1
            if self.limit is not None and taken >= self.limit:
                return

    def count(self) -> int | None:
        """How many frames there will be; None when the video does not tell before it is read."""
        if not self.path.is_dir():
            return self.limit
        number = -(-len(_pictures(self.path)) // self.every)
        return number if self.limit is None else min(number, self.limit)


class _Video(Protocol):
    """What is used of imageio's reader of a video."""

    def get_meta_data(self) -> dict[str, Any]: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...

    def __enter__(self) -> _Video: ...

    def __exit__(self, *error: object) -> None: ...


def open_frames(path: Path, fps: float | None = None, every: int = 1, limit: int | None = None) -> FrameSource:
    """A folder of pictures, ordered by the numbers in their names, or a video.

    Args:
        path: the folder or the video.
        fps: frames a second; None: what the video says, 25 for a folder.
        every: only each `every`-th frame is taken. limit: at most so many are taken; None: all.
    Raises:
        InputError: neither a folder with pictures nor a video that can be read, or a number out of range.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise InputError(f"fps is {fps}; accepted: more than 0, at most 1000 frames a second")
    if every < 1:
        raise InputError(f"every is {every}; accepted: 1 (each frame) or more")
    if limit is not None and limit < 1:
        raise InputError(f"at most {limit} frames; accepted: 1 or more")
    if path.is_dir():
        if not _pictures(path):
            raise InputError(f"{path}: holds no picture; expected the frames of a sequence, such as 0001.png, 0002.png")
        return FrameSource(path, fps or DEFAULT_FPS, every, limit)
    if not path.exists():
        raise InputError(f"{path}: no such folder or video")
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        kinds = ", ".join(VIDEO_SUFFIXES)
        raise InputError(f"{path}: a sequence is a folder of pictures or a video; accepted: {kinds}")
    with _open_video(path) as video:
        told = video.get_meta_data()
    measured = float(told.get("fps") or 0)
    if fps is None and not 0 < measured <= 1000:
        raise InputError(f"{path}: does not say its frames a second; give them (--fps)")
    return FrameSource(path, fps or measured, every, limit)


def _pictures(folder: Path) -> list[Path]:
    """frame_2 before frame_10."""

    def key(path: Path) -> list:
        return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name)]

    found = (p for p in folder.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES and not p.name.startswith("."))
    return sorted((path for path in found if path.is_file()), key=key)


def _folder(source: FrameSource) -> Iterator[tuple[int, str, Photo | None, str]]:
    for number, path in enumerate(_pictures(source.path)):
        if number % source.every == 0:
            try:
                yield number, path.name, read_photo(path), ""
            except ImageError as error:
                yield number, path.name, None, str(error)


def _video(source: FrameSource) -> Iterator[tuple[int, str, Photo | None, str]]:
    number = -1
    with _open_video(source.path) as video:
        try:
            for number, pixels in enumerate(video):
                if number % source.every == 0:
                    yield number, f"{source.path.name}#{number}", Photo.from_array(pixels, source.path), ""
        except (OSError, RuntimeError) as error:
            reason = _first_line(error)
            raise InputError(f"{source.path}: the video breaks off at frame {number + 1} ({reason})") from None


def _open_video(path: Path) -> _Video:
    """The video by imageio's ffmpeg plugin: what ffmpeg tells of it, and its frames, (H, W, 3) uint8."""
    from imageio import v2

    try:
        import imageio_ffmpeg  # noqa: F401  the program that the plugin runs; without it imageio's message is a page long
    except ImportError:
        raise InputError(f"{path}: reading a video needs imageio-ffmpeg ({INSTALL_VIDEO})") from None
    try:
        return v2.get_reader(path, "FFMPEG")  # type: ignore[return-value]  # its types call the reader one array
    except (OSError, RuntimeError, StopIteration, KeyError, IndexError) as error:
        raise InputError(f"{path}: not a video that can be read ({_first_line(error)})") from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
