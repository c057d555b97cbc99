"""Which photos: folders, lists and videos become one list."""

import numpy as np
import pytest
from PIL import Image

from facefit.errors import ImageError
from facefit.person import photos as module
from facefit.person.photos import PersonPhoto, person_photos
from facefit.photo.frames import Frame
from facefit.photo.photo import Photo


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.png"):
        Image.new("RGB", (40, 40), "red").save(tmp_path / name)
    (tmp_path / "notes.txt.bak").write_text("x")
    return tmp_path


def test_photos_come_by_name_and_are_read_when_they_are_wanted(folder):
    ignored = []
    found = person_photos([folder], ignored=ignored.append)
    assert [photo.name for photo in found] == ["a.png", "b.png"] and len(ignored) == 1
    (folder / "a.png").unlink()
    with pytest.raises(ImageError, match=r"a\.png"):
        found[0].read()
    assert found[1].read().width == 40


def test_a_line_that_names_no_photo_says_so(folder):
    (folder / "list.txt").write_text("a.png\n" + "x" * 5000 + "\n")
    good, bad = person_photos([folder / "list.txt"])
    assert good.read().width == 40
    with pytest.raises(ImageError, match="5000 characters"):
        bad.read()


def test_too_many_are_refused(folder, monkeypatch):
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(ImageError, match="more than 1 photos.*--every"):
        person_photos([folder])


def test_of_a_video_every_nth_frame_is_taken_and_a_broken_one_says_so(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"")
    asked = []

    def frames(path, every):
        asked.append((path.name, every))
        picture = Photo.from_array(np.full((40, 50, 3), 9, np.uint8))
        return [Frame(0, 0.0, "clip.mp4#0", picture), Frame(5, 0.2, "clip.mp4#5", None, "frame 5: damaged")]

    monkeypatch.setattr(module, "open_frames", frames)
    whole, broken = person_photos([tmp_path / "clip.mp4"], every=5)
    assert asked == [("clip.mp4", 5)] and whole.read().pixels[0, 0, 0] == 9
    with pytest.raises(ImageError, match="damaged"):
        broken.read()


def test_a_frame_keeps_its_pixels(tmp_path):
    frame = PersonPhoto("clip.mp4#3", tmp_path / "clip.mp4", np.full((40, 50, 3), 7, np.uint8))
    assert (frame.read().width, frame.read().height) == (50, 40)
