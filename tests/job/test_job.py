"""Which device a job gets."""

import logging

import pytest
import torch

from facefit.compute.machine import usable_device
from facefit.job.options import JobOptions


def test_without_a_gpu():
    assert usable_device("cpu") == "cpu"
    if not torch.cuda.is_available():
        assert usable_device("auto") == "cpu"
        with pytest.raises(ValueError, match="--device cuda"):
            usable_device("cuda")
    with pytest.raises(ValueError, match="--device nonsense"):
        usable_device("nonsense")


def test_a_gpu_without_its_renderer_is_left_alone(monkeypatch, caplog):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING, "facefit.compute.machine"):
        assert usable_device("auto") == "cpu"
    assert "nvdiffrast" in caplog.text
    caplog.clear()
    assert usable_device("auto", "cpu") == "cpu" and not caplog.text


def test_options_make_a_config_and_name_their_files(tmp_path):
    options = JobOptions(preset="fast", energies=("landmark",), iterations=3, segmentation="parser.onnx")
    config = options.config()
    assert (config.stage.iterations, config.energies) == (3, ("landmark",))
    assert [path.name for path in options.inputs()] == ["parser.onnx"]
    with pytest.raises(ValueError, match="energies fun"):
        JobOptions(energies=("fun",)).config()
