"""A CSV of ARKit's weights: written and read back, and one line for what is none."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facefit.errors import InputError
from facefit.rig.clip import Clip
from facefit.rig.live_link import NAMES, live_link_csv, read_live_link


@pytest.fixture
def clip():
    rng = np.random.default_rng(2)
    turn = Rotation.from_euler("YXZ", rng.uniform(-0.6, 0.6, (4, 3))).as_matrix()
    seconds = np.array([0.0, 1 / 30, 0.1, 61.25])
    return Clip(NAMES[::-1], seconds, rng.uniform(0, 1, (4, len(NAMES))), turn, np.zeros((4, 3)))


def written(path, clip):
    path.write_bytes(live_link_csv(clip))
    return path


def test_what_is_written_is_read(clip, tmp_path):
    found = read_live_link(written(tmp_path / "take.csv", clip))
    assert found.names == NAMES
    assert np.abs(found.weights - clip.weights[:, ::-1]).max() < 1e-6
    assert np.abs(found.seconds - clip.seconds).max() < 1e-4
    assert np.abs(found.rotation - clip.rotation).max() < 1e-5


def test_angles_have_the_signs_that_are_documented(tmp_path):
    """A head turned to the person's left, which is +x, has a positive yaw; one that looks up, a positive pitch."""
    turns = np.stack([Rotation.from_rotvec(v).as_matrix() for v in ([0, 0.3, 0], [-0.2, 0, 0], [0, 0, -0.1])])
    clip = Clip(NAMES, np.arange(3.0), np.zeros((3, len(NAMES))), turns, np.zeros((3, 3)))
    assert (turns[0] @ [0, 0, 1])[0] > 0 and (turns[1] @ [0, 0, 1])[1] > 0 and (turns[2] @ [0, 1, 0])[0] > 0
    header, *rows = (line.split(",") for line in live_link_csv(clip).decode().splitlines())
    table = np.array([row[2:] for row in rows], float)
    place = header.index("HeadYaw") - 2
    assert np.allclose(table[:, place : place + 3], np.diag([0.3, 0.2, 0.1]), atol=1e-6)


def test_the_gaze_becomes_looks(tmp_path):
    gaze = np.zeros((1, 2, 2))
    gaze[0, :, 0] = np.radians(15)  # to the person's left: the right eye inwards
    clip = Clip(NAMES, np.zeros(1), np.zeros((1, len(NAMES))), np.eye(3)[None], np.zeros((1, 3)), gaze)
    found = dict(zip(NAMES, read_live_link(written(tmp_path / "a.csv", clip)).weights[0], strict=True))
    assert {name for name, value in found.items() if value} == {"eyeLookInRight", "eyeLookOutLeft"}
    assert found["eyeLookInRight"] == pytest.approx(0.5, abs=1e-6)


def test_rows_without_a_face_are_left_out_and_frames_can_be_counted(clip, tmp_path):
    path = written(tmp_path / "take.csv", clip)
    lines = path.read_text().splitlines()
    lines.insert(2, "00:00:00:01.000,0")
    path.write_text("\n".join(lines))
    assert len(read_live_link(path).seconds) == 4
    assert read_live_link(path, 10.0).seconds == pytest.approx([0, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "photo,path\na,b", "0 of the 52 expressions"),
        (lambda text: "", "0 of the 52 expressions"),
        (lambda text: text.splitlines()[0], "no row with weights"),
        (lambda text: text.replace("00:00:00:02.000", "soon", 1), "row 3: Timecode is 'soon'"),
        (lambda text: text.replace("00:00:00:02.000", "00:00:00:00.000", 1), "row 3: not later"),
        (lambda text: text.replace(text.splitlines()[1].split(",")[5], "nan", 1), "row 2: EyeLookOutLeft is 'nan'"),
        (lambda text: text.replace(text.splitlines()[1].split(",")[5], "7", 1), "expected a number up to 2"),
    ],
)
def test_what_is_no_such_file(clip, tmp_path, change, words):
    path = written(tmp_path / "take.csv", clip)
    path.write_text(change(path.read_bytes().decode()))
    with pytest.raises(InputError, match=words):
        read_live_link(path)


def test_no_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: No such file"):
        read_live_link(tmp_path / "none.csv")
