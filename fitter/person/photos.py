"""The photos of a person before they are looked at: from folders, lists, patterns, files, and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ImageError
from ..photo.frames import VIDEO_SUFFIXES, open_frames
from ..photo.photo import Photo, read_photo
from ..photo.photo_list import list_photos

MOST = 200  # photos of one person; what more would add is below what one fit differs from the next


@dataclass(frozen=True)
class PersonPhoto:
    """One picture that may show the person.

    Attributes:
        name: what it is called in messages and files.
        path: its file; of a video's frame the video.
        frame: (H, W, 3) uint8 of a video's frame, which is kept: a video is read once. None: the file is read when its
            pixels are needed, and not kept.
        problem: why there is nothing to read; empty where there is.
    """

    name: str
    path: Path
    frame: np.ndarray | None = None
    problem: str = ""

    def read(self) -> Photo:
        """Raises ImageError: there is no photo, or it cannot be read."""
        if self.problem:
            raise ImageError(self.problem)
        return read_photo(self.path) if self.frame is None else Photo.from_array(self.frame, self.path)


def person_photos(
    sources: Sequence[Path], every: int | None = None, ignored: Callable[[Path], object] | None = None
) -> list[PersonPhoto]:
    """The photos that the sources name, each once.

    Args:
        sources: folders, lists, patterns, photos (`facefit.photo.photo_list`) and videos.
        every: of a video each `every`-th frame is taken.
        ignored: told each file that a folder has beside its photos.
    Raises:
        ImageError: a source that is not there or names no photo, or more than MOST photos.
        InputError: a video that cannot be read.
    """
    videos = [source for source in sources if source.suffix.lower() in VIDEO_SUFFIXES and source.is_file()]
    others = [source for source in sources if source not in videos]
    found: list[PersonPhoto] = []
    if others:
        listed = list_photos(others, ignored=ignored)
        found += [PersonPhoto(photo.key, photo.path, None, photo.problem) for photo in listed]
    for video in videos:
        for photo in _frames(video, every):
            found.append(photo)
            if len(found) > MOST:
                break
    if len(found) > MOST:
        raise ImageError(f"more than {MOST} photos; give fewer, or of a video fewer frames (--every)")
    return found


def _frames(video: Path, every: int | None) -> Iterator[PersonPhoto]:
    for frame in open_frames(video, every=every or 1):
        pixels = None if frame.photo is None else frame.photo.pixels
        yield PersonPhoto(frame.name, video, pixels, frame.error if pixels is None else "")
