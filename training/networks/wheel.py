"""The networks as MediaPipe published them: TFLite files inside its wheel, which is read and not installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from facefit.errors import FaceFitError

REQUIREMENT = "mediapipe==0.10.21"
# Every wheel of this version holds the same networks; one is named, so that any Python on any system reads it.
PLATFORM = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--only-binary=:all:")


@dataclass(frozen=True)
class Published:
    """One network of the wheel.

    Attributes:
        path: in the wheel.
        sha256: as its publisher lists it (mediapipe/third_party/external_files.bzl).
    """

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without folders."""
        return self.path.rpartition("/")[2]


SHORT_RANGE = Published(
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
)
FULL_RANGE = Published(
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
)
ATTENTION_MESH = Published(
    "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
    "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
)
SELFIE = Published(
    "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
)


def download(folder: Path) -> Path:
    """The wheel in `folder`, fetched by pip unless it lies there. Raises FaceFitError where pip cannot."""
    pattern = REQUIREMENT.replace("==", "-") + "-*.whl"
    if not list(folder.glob(pattern)):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *PLATFORM]
        if subprocess.run([*command, "--dest", str(folder), REQUIREMENT]).returncode != 0:
            raise FaceFitError(f"pip could not download {REQUIREMENT}; give its wheel with --wheel")
    return sorted(folder.glob(pattern))[0]


def read(wheel: Path, network: Published) -> bytes:
    """The network's TFLite file. Raises FaceFitError where the wheel lacks it or holds another."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(network.path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise FaceFitError(f"{wheel}: no wheel of {REQUIREMENT} ({error})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != network.sha256:
        raise FaceFitError(f"{wheel}: {network.path} has the sum {found}; its publisher's is {network.sha256}")
    return content
