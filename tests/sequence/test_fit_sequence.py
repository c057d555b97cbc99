"""A film in one call: what is given reaches the fitter, what is not is loaded."""

import numpy as np
import pytest
from PIL import Image

import facefit.sequence.fit_sequence as module
from facefit.errors import InputError
from facefit.sequence.sequence import SequenceFitter


def test_what_is_given_reaches_the_fitter(toy_model, tmp_path, monkeypatch):
    for name in ("load_detector", "load_segmenter"):
        monkeypatch.setattr(module, name, lambda *which, name=name: name)
    told = []
    monkeypatch.setattr(
        SequenceFitter, "fit", lambda own, frames, fps, progress: told.append((own, list(frames), fps, progress))
    )
    with pytest.raises(InputError, match="no such folder or video"):
        module.fit_sequence(tmp_path / "none", model=toy_model)
    for number in range(3):
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / f"{number}.png")
    module.fit_sequence(str(tmp_path), model=toy_model, fps=30, every=2, focal=500.0, share_after=3, progress=print)
    ((fitter, frames, fps, progress),) = told
    assert [frame.name for frame in frames] == ["0.png", "2.png"] and fps == 30 and progress is print
    assert (fitter.focal, fitter.share_after) == (500.0, 3)
    assert fitter.instruments.model is toy_model and fitter.instruments.detector == "load_detector"
