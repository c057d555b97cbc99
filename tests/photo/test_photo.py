"""Photos of every kind, and the window onto them, against values known by hand."""

import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from helpers.heic import register_heic_writer
from PIL import Image, ImageCms

from facefit.errors import ImageError
from facefit.geometry.camera import WindowTransform
from facefit.photo.camera import photo_camera
from facefit.photo.photo import Photo, read_photo
from facefit.photo.window import crop_window, sample_labels, sample_window, window_image

RNG = np.random.default_rng(0)


def picture(width=64, height=48):
    """A smooth picture whose corners can be told apart: red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), np.full_like(x, 40)], -1).astype(np.uint8)


def window(x, y, scale, size):
    return WindowTransform(torch.tensor([[x, y]]), torch.tensor([scale]), size)


def ramp(width=40, height=30):
    """Each pixel holds its own centre, (x, y), in photo pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    return np.stack([x, y], -1).astype(np.float32)


def png_of(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A PNG of RGB as its rows say, whatever the header claims; Pillow writes neither 16 bits nor a false size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class TestReading:
    def test_plain(self, tmp_path):
        Image.fromarray(picture()).save(tmp_path / "a.png")
        photo = read_photo(tmp_path / "a.png")
        assert photo.pixels.dtype == np.uint8 and photo.pixels.flags.c_contiguous
        assert (photo.width, photo.height) == photo.stored_size == (64, 48)
        assert np.array_equal(photo.pixels, picture())
        assert photo.focal_pixels is None

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path, orientation):
        # what a camera held in that way stores, so that it shows `picture()`
        stored = {
            1: lambda a: a,
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.transpose(1, 0, 2),
            6: lambda a: np.rot90(a, 1),  # must be turned clockwise to be shown
            7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
            8: lambda a: np.rot90(a, -1),
        }
        array = stored[orientation](picture())
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(array)).save(tmp_path / "a.png", exif=exif)
        photo = read_photo(tmp_path / "a.png")
        assert np.array_equal(photo.pixels, picture())
        assert photo.stored_size == (array.shape[1], array.shape[0])

    def test_alpha_lies_on_white(self, tmp_path):
        alpha = np.zeros((48, 64, 1), np.uint8)
        alpha[:, :32] = 255
        alpha[:, 63] = 128
        Image.fromarray(np.concatenate([picture(), alpha], 2)).save(tmp_path / "a.png")
        pixels = read_photo(tmp_path / "a.png").pixels
        assert np.array_equal(pixels[:, :32], picture()[:, :32])
        assert (pixels[:, 32:63] == 255).all()
        expected = 255 + (picture()[:, 63].astype(float) - 255) * 128 / 255
        assert np.abs(pixels[:, 63] - expected).max() <= 1

    def test_grey_and_grey_with_alpha(self, tmp_path):
        grey = picture()[..., 0]
        Image.fromarray(grey).save(tmp_path / "l.png")
        assert np.array_equal(read_photo(tmp_path / "l.png").pixels, np.repeat(grey[..., None], 3, 2))
        Image.merge("LA", [Image.fromarray(grey), Image.new("L", (64, 48), 0)]).save(tmp_path / "la.png")
        assert (read_photo(tmp_path / "la.png").pixels == 255).all()

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    def test_16_bit_grey_is_scaled_and_not_clipped(self, tmp_path, suffix):
        grey = picture()[..., 0]
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"a.{suffix}")
        assert np.array_equal(read_photo(tmp_path / f"a.{suffix}").pixels[..., 1], grey)

    def test_16_bit_rgb(self, tmp_path):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture().astype(np.uint16) * 257)
        (tmp_path / "a.png").write_bytes(png_of(64, 48, 16, rows))
        assert np.array_equal(read_photo(tmp_path / "a.png").pixels, picture())

    def test_float_tiff(self, tmp_path):
        Image.fromarray((picture()[..., 0] / 255).astype(np.float32)).save(tmp_path / "a.tif")
        assert np.array_equal(read_photo(tmp_path / "a.tif").pixels[..., 0], picture()[..., 0])

    def test_cmyk_jpeg(self, tmp_path):
        Image.fromarray(picture()).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
        assert np.abs(read_photo(tmp_path / "a.jpg").pixels.astype(int) - picture()).max() <= 24

    def test_palette_with_transparency(self, tmp_path):
        array = np.zeros((48, 64), np.uint8)
        array[:, 32:] = 1
        image = Image.fromarray(array).convert("P")
        image.putpalette([200, 10, 20, 0, 0, 0])
        image.save(tmp_path / "a.png", transparency=1)
        pixels = read_photo(tmp_path / "a.png").pixels
        assert (pixels[:, :32] == (200, 10, 20)).all() and (pixels[:, 32:] == 255).all()

    def test_one_bit(self, tmp_path):
        Image.fromarray(picture()[..., 0] > 127).save(tmp_path / "a.png")
        assert set(np.unique(read_photo(tmp_path / "a.png").pixels)) == {0, 255}

    def test_animation_gives_its_first_frame(self, tmp_path):
        frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "green")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert (read_photo(tmp_path / "a.gif").pixels == (255, 0, 0)).all()

    def test_colour_profile_becomes_srgb(self, tmp_path):
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        Image.fromarray(picture()).save(tmp_path / "a.png", icc_profile=lab)
        assert np.array_equal(read_photo(tmp_path / "a.png").pixels, picture())
        Image.fromarray(picture()).save(tmp_path / "b.png", icc_profile=b"no profile at all")
        assert np.array_equal(read_photo(tmp_path / "b.png").pixels, picture())

    def test_upper_case_and_other_formats(self, tmp_path):
        for name, form in (
            ("A.JPEG", "JPEG"),
            ("a.webp", "WEBP"),
            ("a.bmp", "BMP"),
            ("a.ppm", "PPM"),
            ("noname", "PNG"),
        ):
            Image.fromarray(picture()).save(tmp_path / name, format=form)
            assert np.abs(read_photo(tmp_path / name).pixels.astype(int) - picture()).mean() < 6


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_heic_as_a_phone_writes_it(tmp_path, orientation):
    """Its decoder turns the picture by the file's own note; EXIF repeats the turn, which must not be done twice."""
    register_heic_writer()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({41989: 26, 40962: 160, 40963: 120})
    Image.fromarray(picture(160, 120)).save(tmp_path / "a.HEIC", exif=exif.tobytes(), quality=95)
    Image.fromarray(picture(160, 120)).save(tmp_path / "a.png", exif=exif)
    phone, plain = read_photo(tmp_path / "a.HEIC"), read_photo(tmp_path / "a.png")
    assert phone.pixels.shape == plain.pixels.shape
    assert np.abs(phone.pixels.astype(int) - plain.pixels).max() <= 8
    assert phone.focal_pixels == plain.focal_pixels == pytest.approx(26 / 36 * 160)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_strips_join_without_a_seam(tmp_path, monkeypatch, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(picture())
    image = Image.fromarray(picture()[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "a.tif", exif=exif)
    whole = read_photo(tmp_path / "a.tif").pixels
    monkeypatch.setattr("facefit.photo.photo._STRIP", 64 * 5)  # 48 rows in strips of 5: the last has 3
    assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, whole)
    assert whole.std() > 10


def test_a_colour_profile_of_another_mode_is_left_aside(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    Image.fromarray(picture()).save(tmp_path / "lab.png", icc_profile=profile.tobytes())
    assert np.array_equal(read_photo(tmp_path / "lab.png").pixels, picture())


def refused(path, *words, **options):
    with pytest.raises(ImageError) as caught:
        read_photo(path, **options)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    for word in words:
        assert word in message, message


class TestRefusing:
    def test_missing(self, tmp_path):
        refused(tmp_path / "none.jpg", "no such file")

    def test_directory(self, tmp_path):
        refused(tmp_path, "directory")

    def test_empty(self, tmp_path):
        (tmp_path / "a.jpg").touch()
        refused(tmp_path / "a.jpg", "empty", "JPEG")

    def test_text(self, tmp_path):
        (tmp_path / "a.jpg").write_text("dear reader\n" * 100)
        refused(tmp_path / "a.jpg", "not an image", "JPEG")

    def test_postscript_starts_no_program(self, tmp_path):
        (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n")
        refused(tmp_path / "a.png", "not an image")

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
    def test_cut_off(self, tmp_path, form, share):
        stream = io.BytesIO()
        Image.fromarray(RNG.integers(0, 255, (96, 96, 3), np.uint8)).save(stream, form)
        data = stream.getvalue()
        (tmp_path / "a").write_bytes(data[: int(len(data) * share)])
        refused(tmp_path / "a")

    def test_damaged(self, tmp_path):
        stream = io.BytesIO()
        Image.fromarray(RNG.integers(0, 255, (96, 96, 3), np.uint8)).save(stream, "PNG")
        data = bytearray(stream.getvalue())
        data[len(data) // 2] ^= 255
        (tmp_path / "a.png").write_bytes(data)
        refused(tmp_path / "a.png", "damaged")

    @pytest.mark.parametrize("size", [(1, 1), (31, 200), (200, 31)])
    def test_too_small(self, tmp_path, size):
        Image.new("RGB", size).save(tmp_path / "a.png")
        refused(tmp_path / "a.png", f"{size[0]} x {size[1]}", "32")

    @pytest.mark.parametrize("size", [(10_100, 10_000), (20_000, 20_000), (60_000, 60_000)])
    def test_huge_is_refused_by_its_header(self, tmp_path, size):
        (tmp_path / "a.png").write_bytes(png_of(*size, 8, bytes(100)))
        tracemalloc.start()
        refused(tmp_path / "a.png", f"{size[0] * size[1] / 1e6:.0f} megapixels", "100")
        assert tracemalloc.get_traced_memory()[1] < 5e6
        tracemalloc.stop()

    def test_the_limit_can_be_set(self, tmp_path):
        Image.fromarray(picture()).save(tmp_path / "a.png")
        refused(tmp_path / "a.png", "64 x 48", max_pixels=3000)
        assert read_photo(tmp_path / "a.png", max_pixels=64 * 48).width == 64

    def test_fifo(self, tmp_path):
        os.mkfifo(tmp_path / "a.jpg")
        refused(tmp_path / "a.jpg", "regular")

    def test_permission(self, tmp_path, monkeypatch):
        Image.fromarray(picture()).save(tmp_path / "a.png")

        def deny(*_args, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.open", deny)  # root, who runs many test machines, is never denied
        refused(tmp_path / "a.png", "permission")

    def test_arrays(self):
        assert np.array_equal(Photo.from_array(picture() / 255.0).pixels, picture())
        for array in (picture()[..., 0], picture().astype(np.int32), picture() * 1.0, picture()[:8]):
            with pytest.raises(ImageError):
                Photo.from_array(array)


def exif_photo(path, size=(600, 400), **tags):
    names = {"film": 41989, "focal": 37386, "resolution": 41486, "unit": 41488, "width": 40962, "height": 40963}
    exif = Image.Exif()
    for name, value in tags.items():
        exif.get_ifd(0x8769)[names[name]] = value
    Image.new("RGB", size).save(path, exif=exif)
    return read_photo(path)


class TestCamera:
    def test_film_equivalent(self, tmp_path):
        photo = exif_photo(tmp_path / "a.jpg", film=54)
        assert photo.focal_pixels == pytest.approx(54 / 36 * 600)
        camera = photo_camera(photo)
        assert camera.focal.tolist() == [[900, 900]] and camera.centre.tolist() == [[300, 200]]

    def test_focal_plane(self, tmp_path):
        # 50 mm on a sensor with 1000 px per cm, a photo of 1200 px shown at 600: 50 mm * 100 px/mm / 2
        photo = exif_photo(tmp_path / "a.jpg", focal=50.0, resolution=1000.0, unit=3, width=1200, height=800)
        assert photo.focal_pixels == pytest.approx(2500)

    def test_crop_and_nonsense_are_left_aside(self, tmp_path):
        assert exif_photo(tmp_path / "a.jpg", film=54, width=600, height=600).focal_pixels is None
        assert exif_photo(tmp_path / "b.jpg", film=54, width=400, height=600).focal_pixels is not None  # turned
        assert exif_photo(tmp_path / "c.jpg", film=3).focal_pixels is None
        assert exif_photo(tmp_path / "d.jpg", film=0, focal=5.0).focal_pixels is None

    def test_order(self, tmp_path):
        photo = exif_photo(tmp_path / "a.jpg", film=54)
        assert photo_camera(photo, focal=123.0).focal[0, 0] == 123
        assert photo_camera(photo, fov=90.0).focal[0, 0] == pytest.approx(300)
        plain = Photo.from_array(np.zeros((400, 600, 3), np.uint8))
        assert photo_camera(plain, face_side=224.0).focal[0, 0] == pytest.approx(1015)
        # a small face in a wide photo gets a normal lens and no fish-eye
        assert photo_camera(plain, face_side=40.0).focal[0, 0] == pytest.approx(720)

    @pytest.mark.parametrize("options", [{"focal": 0.0}, {"focal": float("nan")}, {"fov": 0.0}, {"fov": 180.0},
                                         {"focal": 500.0, "fov": 30.0}])  # fmt: skip
    def test_refuses(self, options):
        with pytest.raises(ValueError, match="focal|fov"):
            photo_camera(Photo.from_array(picture()), **options)


class TestWindow:
    @pytest.mark.parametrize("scale", [0.137, 0.5, 0.9, 1.0, 1.7, 8.0])
    def test_ramp_stays_where_it_is(self, scale):
        """The value of each window pixel is the photo position of its centre: no half pixel gets lost."""
        size = max(2, int(12 * scale))
        at = window(9.3, 6.1, scale, size)
        image, inside = sample_window(ramp(), at)
        grid = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), -1).reshape(1, -1, 2)
        expected = at.to_photo(torch.from_numpy(grid).float()).reshape(size, size, 2).numpy()
        assert np.abs(image - expected).max() < 1e-3
        assert np.allclose(inside, 1, atol=1e-5)

    def test_identity_and_integer_shrinking(self):
        pixels = RNG.random((32, 32, 3)).astype(np.float32)
        exact, _ = sample_window(pixels, window(0.0, 0.0, 64.0, 64 * 32))
        # deep inside the magnified photo, at each pixel's centre, is that pixel (interpolated, so up to a thousandth)
        assert np.abs(exact[32::64, 32::64] - pixels).max() < 0.02
        flat, _ = sample_window(np.full((32, 32, 3), 0.25, np.float32), window(3.2, 1.1, 0.21, 6))
        assert np.allclose(flat, 0.25, atol=1e-6)

    def test_shrinking_averages(self):
        """A checkerboard becomes grey, not a beat pattern."""
        board = (np.indices((256, 256)).sum(0) % 2).astype(np.float32)[..., None]
        image, _ = sample_window(board, window(10.4, 20.9, 0.11, 20))
        assert np.abs(image - 0.5).max() < 0.02

    def test_outside(self):
        image, inside = sample_window(ramp(40, 30), window(-5.5, -10.0, 1.0, 60))
        assert inside[20, 4] == 0 and inside[20, 5] == pytest.approx(0.5) and inside[20, 6] == 1
        assert inside[9, 20] == 0 and inside[10, 20] == 1 and inside[39, 20] == 1 and inside[40, 20] == 0
        assert np.isfinite(image).all()
        assert image[20, 0, 0] == 0.5 and image[20, 59, 0] == 39.5  # the border goes on
        far, inside = sample_window(ramp(), window(1e5, -1e5, 0.3, 8))
        assert np.isfinite(far).all() and (inside == 0).all()

    def test_photo_window_is_in_0_1(self):
        image, inside = window_image(Photo.from_array(picture()), window(8.0, 8.0, 1.0, 32))
        assert image.dtype == np.float32 and image.shape == (32, 32, 3) and inside.shape == (32, 32)
        shifted = picture()[8:40, 8:40] / 255
        assert np.abs(image - shifted).max() < 0.01

    def test_labels(self):
        labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
        assert np.array_equal(
            sample_labels(labels, window(0.0, 0.0, 2.0, 6))[:, :6], labels.repeat(2, 0).repeat(2, 1)[:6, :6]
        )
        assert np.array_equal(sample_labels(labels, window(-1.0, -1.0, 1.0, 3), outside=99)[1:, 1:], labels[:2, :2])
        assert (sample_labels(labels, window(-1.0, -1.0, 1.0, 3), outside=99)[0] == 99).all()

    def test_crop_window(self):
        points = torch.tensor([[100.0, 200.0], [200.0, 220.0], [150.0, 400.0]])
        at = crop_window(points, size=224, margin=1.5)
        assert float(at.scale) == pytest.approx(224 / 300)
        corners = at.to_photo(torch.tensor([[[0.0, 0.0], [224.0, 224.0]]]))[0]
        assert (corners[1] - corners[0]).tolist() == pytest.approx([300, 300])
        centre = corners.mean(0)
        assert float(centre[0]) == pytest.approx(150) and 270 < float(centre[1]) < 300  # a little above the middle
        both = crop_window(torch.stack([points, points * 2]).numpy())
        assert both.scale.shape == (2,) and torch.allclose(both.scale[0], both.scale[1] * 2)

    def test_crop_window_refuses(self):
        for points in (torch.zeros(5, 3), torch.full((4, 2), float("nan")), torch.ones(4, 2)):
            with pytest.raises(ValueError, match="landmarks"):
                crop_window(points)
        with pytest.raises(ValueError, match="batch"):
            sample_window(ramp(), WindowTransform(torch.zeros(2, 2), torch.ones(2), 4))
