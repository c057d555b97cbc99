"""Archives of arrays: what is in one is known before it is expanded."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from facefit.errors import InputError, ModelError
from facefit.files import npz as npz_module
from facefit.files import read_mesh as read_mesh_module
from facefit.files.npz import open_npz, read_npy
from facefit.files.read_mesh import read_mesh
from facefit.files.untrusted import read_npz


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_headers_and_arrays():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array("text"), "c": np.zeros((0, 4), np.int8)}
    with open_npz(packed(**{name: npy(value) for name, value in arrays.items()})) as file:
        assert {name: (header.shape, header.dtype, header.ndim) for name, header in file.headers.items()} == {
            name: (value.shape, value.dtype, value.ndim) for name, value in arrays.items()
        }
        assert file.bytes("ab") == 48 + 16
        for name, value in arrays.items():
            assert np.array_equal(file.read(name), value)


def test_a_header_that_promises_more_than_there_is():
    data = npy(np.zeros((1000, 3))).replace(b"(1000, 3)", b"(9999, 9)")
    with pytest.raises(ValueError, match="of shape .9999, 9. has 24000 bytes"), open_npz(packed(a=data)):
        pass


@pytest.mark.parametrize("data", [b"", b"text", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 20_000])
def test_a_member_that_is_no_array(data):
    with pytest.raises(ValueError, match="is not an array"), open_npz(packed(a=data)):
        pass


def test_more_arrays_than_any_model_has(monkeypatch):
    monkeypatch.setattr(npz_module, "MOST_ARRAYS", 2)
    with open_npz(packed(a=npy(0), b=npy(1))) as file:
        assert len(file.headers) == 2
    with pytest.raises(ValueError, match="3 arrays in one archive; accepted: up to 2"):
        with open_npz(packed(a=npy(0), b=npy(1), c=npy(2))):
            pass


def test_a_single_array_is_as_large_as_its_file():
    """NumPy's own reader makes room for what the header says, 8 TB here."""
    points = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(read_npy(npy(points)), points)
    for data in (npy(points).replace(b"(2, 3), ", b"(2, 3**"), npy(points)[:-1], npy(points) + b" ", b"", b"text"):
        with pytest.raises(ValueError):
            read_npy(data)
    lying = npy(np.zeros((1000, 3))).replace(b"(1000, 3), }     ", b"(1000000000000,)}")
    with pytest.raises(ValueError, match="of shape .1000000000000,. has 24000 bytes"):
        read_npy(lying)
    with pytest.raises(ValueError, match="pickled Python objects"):
        read_npy(npy(np.array([{}], object)))


def test_objects_are_seen_but_not_read():
    with open_npz(packed(a=npy(np.array([{}], object)), b=npy(np.ones(2)))) as file:
        assert file.headers["a"].dtype.hasobject and file.read("b").sum() == 2
        with pytest.raises(ValueError, match="pickled Python objects"):
            file.read("a")


def test_what_is_not_needed_is_not_expanded(tmp_path):
    (tmp_path / "a.npz").write_bytes(packed(a=npy(np.ones(2)), large=npy(np.zeros(2_000_000))))
    tracemalloc.start()
    assert list(read_npz(tmp_path / "a.npz", ["a"])) == ["a"]
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_what_is_larger_than_anything_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("facefit.files.untrusted.LARGEST_BYTES", 1 << 20)
    monkeypatch.setattr(read_mesh_module, "LARGEST_ARRAYS", 1 << 20)
    path = tmp_path / "a.npz"
    path.write_bytes(packed(verts=npy(np.zeros((1_000_000, 3))), faces=npy(np.zeros((1, 3), int))))
    tracemalloc.start()
    with pytest.raises(ModelError, match="arrays of"):
        read_npz(path, ["verts"])
    with pytest.raises(InputError, match="unpacks to more than"):
        read_mesh(path)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
