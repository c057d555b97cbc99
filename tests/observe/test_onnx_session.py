"""Sessions: what cannot be loaded is named."""

import sys

import pytest

from facefit.bundled import bundled
from facefit.errors import FaceFitError
from facefit.observe import onnx_session
from facefit.observe.onnx_session import load_session


def test_one_thread_that_does_not_spin():
    options = load_session(bundled("selfie.onnx")).get_session_options()
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_no_file(tmp_path):
    with pytest.raises(FaceFitError, match="none.onnx: no such file; it comes with X"):
        load_session(tmp_path / "none.onnx", missing="it comes with X")
    with pytest.raises(FaceFitError, match="no such file$"):
        load_session(tmp_path)


def test_no_network(tmp_path):
    (tmp_path / "bad.onnx").write_text("no network")
    with pytest.raises(FaceFitError, match="bad.onnx: onnxruntime cannot load it"):
        load_session(tmp_path / "bad.onnx")


def test_too_large_a_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_session, "LARGEST_FILE", 1000)
    (tmp_path / "large.onnx").write_bytes(bytes(1001))
    with pytest.raises(FaceFitError, match="large.onnx: .* accepted"):
        load_session(tmp_path / "large.onnx")


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(FaceFitError, match="pip install onnxruntime"):
        load_session(bundled("selfie.onnx"))
