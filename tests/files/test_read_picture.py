"""One reader for all pictures: what it refuses, in one line, before it costs anything."""

import ast
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.heic import register_heic_writer
from helpers.places import PYTHONPATH, ROOT
from PIL import Image

from facefit.errors import ImageError, InputError
from facefit.files.label_picture import read_label_picture
from facefit.files.quiet_stderr import quiet_stderr
from facefit.files.read_picture import DECODER_BYTES, decode, open_picture
from facefit.observe.segment.label_picture import LabelImageSegmenter
from facefit.output.read_texture import painted
from facefit.photo.photo import read_photo

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"


def encoded(form: str, **options) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(stream, form, **options)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel, with the pixels left out."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def read_as_texture(path: Path) -> None:
    path.rename(path.with_name("m_texture.png"))
    painted(path.with_name("m.obj"), 3)


READERS = [read_photo, read_label_picture, LabelImageSegmenter, read_as_texture]


def refusal(read, path: Path) -> str:
    with pytest.raises((ImageError, InputError)) as caught:
        read(path)
    assert str(caught.value).startswith(str(path.parent)) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("read", READERS)
class TestEveryReader:
    def test_starts_no_ghostscript(self, read, tmp_path, monkeypatch):
        monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile.load", lambda *_, **__: pytest.fail("an EPS was decoded"))
        (tmp_path / "a.png").write_bytes(POSTSCRIPT)
        assert "not an image" in refusal(read, tmp_path / "a.png")

    def test_refuses_the_huge_by_the_header(self, read, tmp_path):
        (tmp_path / "a.png").write_bytes(png_header(30_000, 30_000))
        assert "900 megapixels" in refusal(read, tmp_path / "a.png")

    def test_says_what_is_cut_off(self, read, tmp_path):
        noise = np.random.default_rng(0).integers(0, 10, (96, 96), np.uint8)
        Image.fromarray(noise).save(tmp_path / "a.png")
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
        assert "damaged or cut off" in refusal(read, tmp_path / "a.png")


def test_nothing_else_opens_pictures():
    openers = ("Image.open", "ImageFile.Parser", "imread", "imiter", "load_image")

    def opens(text: str) -> list[str]:
        tree = ast.parse(text if any(name in text for name in openers) else "")
        calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return [call for call in calls if f".{call}".endswith(tuple(f".{name}" for name in openers))]

    found = {path: opens(path.read_text(encoding="utf-8")) for path in (ROOT / "fitter").rglob("*.py")}
    assert {path.name: calls for path, calls in found.items() if calls} == {"read_picture.py": ["Image.open"]}
    assert opens("a = ImageFile.Parser()\nskimage.io.imread(a)") == ["ImageFile.Parser", "skimage.io.imread"]


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_damaged_video_frames_are_bad_pictures(tmp_path, form, share):
    data = bytearray(read_picture_bytes(form))
    at = int(len(data) * share)
    for data_now in (bytes(data[:at]), bytes(data[:at]) + bytes(64) + bytes(data[at + 64 :])):
        (tmp_path / "a").write_bytes(data_now)
        try:
            read_photo(tmp_path / "a")  # not every damage is seen by a decoder
        except ImageError as error:
            assert str(error).startswith(str(tmp_path / "a")) and "\n" not in str(error)


def test_whatever_a_decoder_raises_is_a_bad_picture(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("Failed to decode frame 0:\nUnknown error")

    (tmp_path / "a.avif").write_bytes(read_picture_bytes("AVIF"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    assert "damaged or cut off" in refusal(read_photo, tmp_path / "a.avif")


def read_picture_bytes(form: str) -> bytes:
    register_heic_writer()
    return encoded(form)


def test_libtiff_writes_no_line_of_its_own(tmp_path, capfd):
    data = bytearray(encoded("TIFF", compression="tiff_adobe_deflate"))
    data[100:400] = bytes(300)
    (tmp_path / "a.tif").write_bytes(data)
    text = refusal(read_photo, tmp_path / "a.tif")
    assert "ZIPDecode" in text
    assert capfd.readouterr().err == ""


def test_what_others_write_to_stderr_is_passed_on(capfd):
    with quiet_stderr() as lines:
        os.write(2, b"LZWDecode: Corrupted LZW table at scanline 0.\nTIFFFillStrip: Warning, odd.\nfrom a thread\n")
        assert lines() == ["LZWDecode: Corrupted LZW table at scanline 0"]
    assert capfd.readouterr().err == "from a thread\n"


def tiff_header(tags: dict[int, int]) -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("begin", ("", "import logging; logging.basicConfig(); "))
def test_pillow_logs_nothing_beside_the_error(tmp_path, begin):
    (tmp_path / "a.tif").write_bytes(tiff_header({256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 277: 7939}))
    code = f"""{begin}import sys
from pathlib import Path
from facefit.files.read_picture import decode, open_picture
try:
    with open_picture(Path(sys.argv[1])) as image:
        decode(image)
except Exception as error:
    print(error)"""
    program = [sys.executable, "-c", code, tmp_path / "a.tif"]
    out = subprocess.run(program, capture_output=True, text=True, check=True)
    assert out.stderr == "" and out.stdout.startswith(f"{tmp_path / 'a.tif'}: ")


def test_a_tile_larger_than_the_picture(tmp_path):
    tags = {256: 64, 257: 64, 258: 8, 259: 5, 262: 1, 277: 1, 322: 65536, 323: 32768, 324: 8, 325: 8}
    (tmp_path / "a.tif").write_bytes(tiff_header(tags))
    assert "tiles of 2147 megapixels" in refusal(read_photo, tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("kind", "megabytes"), [("PNG", 640), ("JPEG", 640), ("WEBP", 128), ("AVIF", 128), ("GIF", 64)]
)
def test_a_file_larger_than_its_format_needs(tmp_path, kind, megabytes):
    """Zeros that take no room on the disk: decoders read them all, into memory or byte by byte."""
    path = tmp_path / "photo"
    Image.new("RGB", (64, 64)).save(path, kind)
    read_photo(path)
    os.truncate(path, (megabytes << 20) + 1)
    with pytest.raises(ImageError, match=f"photo: too large, {megabytes} MiB; a file of that format may have"):
        read_photo(path)


def test_a_format_that_takes_more_memory_has_fewer_pixels(tmp_path):
    Image.new("L", (77, 77)).save(tmp_path / "a.jp2")
    claimed = (tmp_path / "a.jp2").read_bytes().replace(struct.pack(">II", 77, 77), struct.pack(">II", 9999, 9999))
    (tmp_path / "a.jp2").write_bytes(claimed)
    text = refusal(read_photo, tmp_path / "a.jp2")
    assert "takes 2.8 GB" in text and "the limit is 1.2" in text


_MEASURE = """
import sys
from pathlib import Path
from facefit.photo import photo
assert "torch" not in sys.modules  # people name wrong files: they are told at once
photo._STRIP = 1 << 13  # in a small photo strips would count for more than in a large one
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
for path in map(Path, sys.argv[1:]):
    photo.read_photo(path.with_name(f"small {path.name}"))
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    read = photo.read_photo(path)
    print(path.name, (peak() - before) / (read.width * read.height))
    del read
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from Linux's /proc")
def test_decoding_stays_below_the_bytes_that_are_announced(tmp_path):
    """Of each format what takes most."""
    side = 600
    register_heic_writer()
    small = np.random.default_rng(0).integers(0, 255, (side // 100, side // 100, 4), np.uint8)
    rgba = Image.fromarray(small).resize((side, side))
    rgb = rgba.convert("RGB")
    cases = {
        "JPEG": (rgb.convert("CMYK"), {"progressive": True}), "PNG": (rgba, {}),
        "WEBP": (rgba, {"lossless": True, "method": 0}),
        "TIFF": (rgba, {"compression": "tiff_lzw", "tiffinfo": {278: side}}),
        "BMP": (rgb, {}), "GIF": (rgb, {}), "PPM": (rgb, {}), "JPEG2000": (rgba, {}), "AVIF": (rgba, {"speed": 10}),
        "HEIF": (rgba, {"chroma": 444, "quality": 10}),
    }  # fmt: skip
    for form, (picture, options) in cases.items():
        picture.save(tmp_path / form, form, **options)
        Image.new("RGB", (40, 40)).save(tmp_path / f"small {form}", form)
    (tmp_path / "PPM").write_bytes(b"P6 %d %d 65535\n" % (side, side) + np.asarray(rgb).astype(">u2").tobytes())
    path = os.pathsep.join(filter(None, (PYTHONPATH, os.environ.get("PYTHONPATH"))))
    # glibc gives larger pieces back at once: else what one photo has left in the heap is not counted for the next
    heap = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")
    command = [sys.executable, "-c", _MEASURE, *(str(tmp_path / form) for form in cases)]
    environment = {**os.environ, **heap, "PYTHONPATH": path}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    used = dict(line.split() for line in out.stdout.splitlines())
    assert len(used) == 10
    beside = 160_000 / side**2  # strips, pages of the heap
    assert not {form: value for form, value in used.items() if not 2 < float(value) < DECODER_BYTES[form] + beside}


def test_bytes_have_the_name_that_is_given():
    with open_picture(encoded("PNG"), name="mesh.glb", error=InputError) as image:
        decode(image)
        assert image.size == (96, 96)
    with (
        pytest.raises(InputError, match="^mesh.glb: not an image"),
        open_picture(b"x", name="mesh.glb", error=InputError),
    ):
        pass
