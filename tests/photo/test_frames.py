"""The frames of a sequence: in their order, at their time, and one clear line for what is none."""

import gc
import sys

import numpy as np
import pytest
from PIL import Image

from facefit.errors import InputError
from facefit.photo.frames import open_frames

# imageio-ffmpeg leaves the pipes of its child process to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def collected():
    gc.freeze()  # what was there before need not be looked through
    yield
    gc.collect()


def save(path, grey, side=32):
    Image.fromarray(np.full((side, side, 3), grey, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (1, 2, 10, 3):
        save(folder / f"f_{number}.png", 10 * number)
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def video(tmp_path):
    writer = pytest.importorskip("imageio_ffmpeg").write_frames(str(tmp_path / "clip.mp4"), (64, 48), fps=10)
    writer.send(None)
    for grey in range(0, 200, 20):
        writer.send(np.full((48, 64, 3), grey, np.uint8))
    writer.close()
    return tmp_path / "clip.mp4"


def test_a_folder_is_read_by_its_numbers(folder):
    source = open_frames(folder, fps=5)
    frames = list(source)
    assert [frame.name for frame in frames] == ["f_1.png", "f_2.png", "f_3.png", "f_10.png"]
    assert [frame.photo.pixels[0, 0, 0] for frame in frames] == [10, 20, 30, 100]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6]) and source.count() == 4
    assert open_frames(folder).fps == 25


def test_every_and_at_most(folder):
    source = open_frames(folder, every=3)
    assert [frame.number for frame in source] == [0, 3] and source.count() == 2
    assert [frame.number for frame in open_frames(folder, limit=3)] == [0, 1, 2]


def test_a_frame_that_cannot_be_read_costs_itself(folder):
    (folder / "f_2.png").write_bytes(b"broken")
    frames = list(open_frames(folder))
    assert frames[1].photo is None and "f_2.png" in frames[1].error
    assert all(frame.photo is not None for frame in (*frames[:1], *frames[2:]))


def test_a_video_says_its_own_rate(video):
    source = open_frames(video)
    frames = list(source)
    assert source.fps == pytest.approx(10) and len(frames) == 10 and source.count() is None
    assert [frame.seconds for frame in frames[:3]] == pytest.approx([0, 0.1, 0.2])
    assert frames[0].photo.pixels.shape == (48, 64, 3) and frames[3].name == "clip.mp4#3"
    grey = [float(frame.photo.pixels.mean()) for frame in frames]
    assert grey == pytest.approx(list(range(0, 200, 20)), abs=8)
    assert [frame.number for frame in open_frames(video, every=4, limit=2)] == [0, 4]
    assert open_frames(video, fps=20).fps == 20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "no such folder or video"),
        (lambda path: path.mkdir(), "holds no picture"),
        (lambda path: path.with_suffix(".txt").write_text("x"), "a folder of pictures or a video"),
        (lambda path: path.with_suffix(".mp4").write_bytes(b"not a video" * 50), "not a video that can be read"),
    ],
    ids=["missing", "empty", "text", "damaged"],
)
def test_what_is_no_sequence(tmp_path, make, words):
    if "not a video" in words:
        pytest.importorskip("imageio_ffmpeg")
    make(tmp_path / "given")
    path = next(tmp_path.iterdir(), tmp_path / "given")
    with pytest.raises(InputError, match=words):
        open_frames(path)


def test_numbers_out_of_range(folder):
    for wrong in ({"fps": 0.0}, {"every": 0}, {"limit": 0}):
        with pytest.raises(InputError, match="accepted"):
            open_frames(folder, **wrong)


def test_a_video_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match="imageio-ffmpeg"):
        open_frames(tmp_path / "clip.mp4")
