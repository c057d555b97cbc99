"""Read what `facefit synth` has written, with torch.

facefit synth -o people --people 8
python examples/synthetic_dataset.py people
"""

import sys
from pathlib import Path

import facefit  # noqa: F401  (before torch, which reads how its threads shall wait when it is loaded)

# isort: split
import numpy as np
import torch
from PIL import Image


class SyntheticPeople(torch.utils.data.Dataset):
    """Picture (3, S, S) in [0, 1], labels (S, S) and landmarks (478, 2) of each."""

    def __init__(self, folder: str) -> None:
        self.pictures = sorted(p for p in Path(folder, "pictures").rglob("*") if p.suffix in (".png", ".jpg"))

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        image = torch.from_numpy(np.array(Image.open(self.pictures[index]))).permute(2, 0, 1) / 255
        with np.load(self.pictures[index].with_suffix(".npz")) as truth:
            return image, torch.from_numpy(truth["labels"]).long(), torch.from_numpy(truth["landmarks"])


def main(folder: str) -> None:
    loader = torch.utils.data.DataLoader(SyntheticPeople(folder), batch_size=4, shuffle=True)
    for images, labels, landmarks in loader:
        print(tuple(images.shape), tuple(labels.shape), tuple(landmarks.shape))


if __name__ == "__main__":
    main(sys.argv[1])
