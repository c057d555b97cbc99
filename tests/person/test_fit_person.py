"""A person in one call: what is given reaches the fitter, what is not is loaded."""

import facefit.person.fit_person as module
from facefit.fit.config import FitConfig, override
from facefit.person.person import PersonFitter


def test_what_is_given_reaches_the_fitter(toy_model, tmp_path, monkeypatch):
    for name in ("load_detector", "load_segmenter"):
        monkeypatch.setattr(module, name, lambda *which, name=name: name)
    monkeypatch.setattr(module, "person_photos", lambda paths, every: (paths, every))
    told = []
    monkeypatch.setattr(PersonFitter, "fit", lambda own, found, progress: told.append((own, found, progress)))
    config = override(FitConfig(), iterations=3)
    module.fit_person([str(tmp_path)], config, model=toy_model, focal=500.0, keep_all=True, every=5, progress=print)
    ((fitter, found, progress),) = told
    assert found == ([tmp_path], 5) and progress is print
    assert (fitter.focal, fitter.keep_all, fitter.detail) == (500.0, True, True)
    assert fitter.instruments.model is toy_model and fitter.instruments.config is config
    assert (fitter.instruments.detector, fitter.instruments.segmenter) == ("load_detector", "load_segmenter")
