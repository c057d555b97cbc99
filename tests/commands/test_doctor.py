"""`facefit doctor`: one line for each thing that can be missing, with its fix."""

import importlib

from helpers.command_line import facefit


class TestDoctor:
    def test_one_line_each(self, tmp_path):
        (tmp_path / "bad.npz").write_text("no model")
        result = facefit("doctor", "--model", tmp_path / "bad.npz")
        assert result.exit_code == 1
        lines = result.output.splitlines()
        names = [line.split()[1] for line in lines[:-1]]
        assert names[:3] == ["python", "facefit", "torch"] and names[-3:] == ["model", "memory", "cache"]
        assert {"cuda", "nvdiffrast", "numba", "networks", "parser"} <= set(names)
        model = lines[names.index("model")]
        assert model.startswith("[NO]") and "bad.npz" in model and "fix:" in model

    def test_good_model(self, tmp_path):
        from helpers.toy_model import toy_arrays

        from facefit.commands.doctor_checks import BAD, GOOD, _model
        from facefit.model.model_file import save_arrays

        save_arrays(tmp_path / "toy.npz", toy_arrays())
        check = _model(str(tmp_path / "toy.npz"))
        assert check.state == GOOD and "CC0-1.0" in check.text and "sha256" in check.text
        (tmp_path / "toy.npz").write_bytes((tmp_path / "toy.npz").read_bytes()[:-100])
        assert _model(str(tmp_path / "toy.npz")).state == BAD

    def test_missing_package_names_its_fix(self, monkeypatch):
        from facefit.commands import doctor_checks as doctor

        real = importlib.import_module

        def without(name, *args):
            if name == "onnxruntime":
                raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
            if name == "skimage":
                raise ImportError("libgomp.so.1: cannot open shared object file")
            return real(name, *args)

        monkeypatch.setattr(doctor.importlib, "import_module", without)
        missing, broken = doctor._networks(), doctor._libraries()
        assert missing.state == doctor.BAD and missing.fix == "pip install onnxruntime"
        assert str(missing).startswith("[NO] networks     onnxruntime is not installed")
        assert broken.state == doctor.BAD and "libgomp.so.1" in broken.text and broken.fix == "pip install scikit-image"

    def test_a_missing_network_is_bad_and_a_missing_parser_is_not(self, monkeypatch, tmp_path):
        from facefit.commands import doctor_checks as doctor
        from facefit.observe import face_networks
        from facefit.observe.segment import face_parser

        whole = doctor._networks()
        assert whole.state == doctor.GOOD and "face_mesh.onnx" in whole.text and "selfie.onnx" in whole.text
        assert "dense.onnx" in whole.text
        monkeypatch.setattr(face_networks, "bundled", lambda name: tmp_path / name)
        lacking = doctor._networks()
        assert lacking.state == doctor.BAD and "no such file" in lacking.text and "make networks" in lacking.fix
        assert doctor._parser().state == doctor.GOOD
        monkeypatch.setattr(face_parser, "parser_path", lambda: tmp_path / "parser.onnx")
        assert doctor._parser().state == doctor.NOTE

    def test_kernels_that_cannot_be_kept_name_their_fix(self, monkeypatch):
        """Neither the package's folder nor the home can be written: numba refuses to compile at all."""
        from facefit.commands import doctor_checks as doctor

        def refuse(path=None):
            raise RuntimeError("cannot cache function 'multiply': no locator available for file 'sparse_kernel.py'")

        monkeypatch.setattr(doctor, "_model", refuse)
        (line,) = [str(check) for check in doctor.examine() if check.name == "model"]
        assert line.startswith("[NO] model") and line.endswith("fix: set NUMBA_CACHE_DIR to a folder of yours")

    def test_a_check_that_crashes_is_a_line(self, monkeypatch):
        from facefit.commands import doctor_checks as doctor

        def crash():
            raise RuntimeError("oh\nno")

        monkeypatch.setattr(doctor, "_memory", crash)
        for name in ("_torch", "_networks", "_parser", "_numba", "_libraries", "_cuda", "_nvdiffrast"):
            monkeypatch.setattr(doctor, name, lambda: doctor.Check("x", doctor.GOOD, ""))
        lines = [str(check) for check in doctor.examine("none.npz")]
        assert any(line.startswith("[NO] memory") and "oh no" in line for line in lines)
