"""What is damaged: good files of every kind, made here."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from facefit.rig.clip import Clip
from facefit.rig.live_link import NAMES, live_link_csv

WIDTH, HEIGHT = 80, 64


def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth colours, in every seed others."""
    dice = np.random.default_rng(seed)
    small = Image.fromarray(dice.integers(40, 220, (6, 8, 3), np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    pages = [page.copy() for page in options.pop("append_images", ())]  # Pillow's writers leave settings on them
    image.copy().save(out, kind, **options, **({"save_all": True, "append_images": pages} if pages else {}))
    return out.getvalue()


def _heic(image: Image.Image) -> bytes:
    import pillow_heif  # writes what facefit only reads

    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=60)
    return out.getvalue()


@cache
def pictures() -> dict[str, tuple[str, bytes]]:
    """Kind -> suffix and bytes of a photo: every format that is accepted, with what photos come with."""
    rgb, grey16 = picture(), Image.fromarray(np.asarray(picture().convert("L")).astype(np.uint16) * 257)
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    more = [picture(seed) for seed in (1, 2)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8769).update({0xA405: 50, 0x829A: (1, 100)})
    profile = io.BytesIO()
    from PIL import ImageCms

    profile.write(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    made: dict[str, Callable[[], tuple[str, bytes]]] = {
        "jpeg": lambda: (".jpg", _saved(rgb, "JPEG", exif=exif)),
        "jpeg progressive": lambda: (".jpg", _saved(rgb, "JPEG", progressive=True, icc_profile=profile.getvalue())),
        "jpeg cmyk": lambda: (".jpg", _saved(rgb.convert("CMYK"), "JPEG")),
        "mpo": lambda: (".mpo", _saved(rgb, "MPO", append_images=more)),
        "png": lambda: (".png", _saved(rgb, "PNG", exif=exif)),
        "png 16 bit": lambda: (".png", _saved(grey16, "PNG")),
        "png transparent": lambda: (".png", _saved(rgba, "PNG")),
        "png palette": lambda: (".png", _saved(rgb.quantize(16), "PNG", transparency=3)),
        "apng": lambda: (".png", _saved(rgb, "PNG", append_images=more)),
        "webp": lambda: (".webp", _saved(rgb, "WEBP", exif=exif)),
        "webp lossless": lambda: (".webp", _saved(rgba, "WEBP", lossless=True)),
        "webp animated": lambda: (".webp", _saved(rgb, "WEBP", append_images=more)),
        "tiff": lambda: (".tif", _saved(rgb, "TIFF")),
        "tiff lzw 16 bit": lambda: (".tif", _saved(grey16, "TIFF", compression="tiff_lzw")),
        "tiff jpeg": lambda: (".tif", _saved(rgb, "TIFF", compression="jpeg")),
        "tiff pages": lambda: (
            ".tif", _saved(rgba, "TIFF", append_images=more)),
        "bmp": lambda: (".bmp", _saved(rgb, "BMP")),
        "gif": lambda: (".gif", _saved(rgb, "GIF")),
        "gif animated": lambda: (".gif", _saved(rgb, "GIF", append_images=more)),
        "ppm": lambda: (".ppm", _saved(rgb, "PPM")),
        "pgm 16 bit": lambda: (".pgm", _saved(grey16, "PPM")),
        "jpeg 2000": lambda: (".jp2", _saved(rgb, "JPEG2000")),
        "avif": lambda: (".avif", _saved(rgba, "AVIF")),
        "avif animated": lambda: (".avif", _saved(rgb, "AVIF", append_images=more)),
        "heic": lambda: (".heic", _heic(rgb)),
        "heic transparent": lambda: (".heic", _heic(rgba)),
    }  # fmt: skip
    return {kind: make() for kind, make in made.items()}


@cache
def lists() -> dict[str, bytes]:
    """Suffix -> list that names two photos that are there and one that is not."""
    import pyarrow
    import pyarrow.parquet

    names = ["a.png", "sub/b.png", "gone.jpg"]
    table, out = pyarrow.table({"photo": names, "age": [1, 2, 3]}), io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    rows = "".join(f'{number},"{name}",said\n' for number, name in enumerate(names))
    return {
        ".txt": ("# photos\n" + "\n".join(names) + "\n").encode(),
        ".csv": f"number,photo,note\n{rows}".encode(),
        ".tsv": "".join(f"{name}\tx\n" for name in names).encode(),
        ".parquet": out.getvalue(),
    }


@cache
def labels() -> bytes:
    """A picture of labels as large as `picture`."""
    shares = np.linspace(0, 10.99, WIDTH).astype(np.uint8)
    return _saved(Image.fromarray(np.tile(shares, (HEIGHT, 1))), "PNG")


@cache
def meshes() -> dict[str, bytes]:
    """Suffix -> a small mesh."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=1, radius=80.0)
    made = {f".{kind}": ball.export(file_type=kind) for kind in ("obj", "ply", "stl", "off", "glb")}
    out = io.BytesIO()
    np.savez(out, verts=ball.vertices, faces=ball.faces)
    return {kind: data.encode() if isinstance(data, str) else data for kind, data in made.items()} | {
        ".npz": out.getvalue()
    }


@cache
def points() -> dict[str, bytes]:
    """Suffix -> 68 points in the photo's pixels."""
    values = np.random.default_rng(0).uniform(5, 60, (68, 2))
    binary = io.BytesIO()
    np.save(binary, values)
    rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in values)
    marks = "".join(f'<point x="{x}" y="{y}" z="0" active="1"/>' for x, y in values)
    return {
        ".npy": binary.getvalue(),
        ".json": str(values.tolist()).encode(),
        ".txt": rows.encode(),
        ".csv": rows.replace(" ", ",").encode(),
        ".pts": f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n".encode(),
        ".pp": f"<PickedPoints>{marks}</PickedPoints>".encode(),
    }


def clip() -> bytes:
    """Weights of three frames, as Live Link Face writes them."""
    still = np.tile(np.eye(3), (3, 1, 1))
    return live_link_csv(Clip(NAMES, np.arange(3) / 30, np.full((3, len(NAMES)), 0.25), still, np.zeros((3, 3))))


def _flame(count: int = 12) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(0)
    return {
        "v_template": dice.normal(size=(count, 3)), "f": dice.integers(0, count, (20, 3)).astype(np.uint32),
        "shapedirs": dice.normal(size=(count, 3, 400)), "posedirs": dice.normal(size=(count, 3, 36)),
        "J_regressor": dice.random((5, count)), "weights": dice.random((count, 5)),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
    }  # fmt: skip


def _generic(count: int = 12) -> dict[str, np.ndarray]:
    dice = np.random.default_rng(0)
    return {
        "verts": dice.normal(size=(count, 3)), "faces": dice.integers(0, count, (20, 3)),
        "identity_basis": dice.normal(size=(3, count, 3)), "expression_basis": dice.normal(size=(2, count, 3)),
        "uv": dice.random((count, 2)), "name": np.str_("mine"), "unit": np.str_("mm"),
    }  # fmt: skip


@cache
def published() -> dict[str, tuple[str, str, bytes]]:
    """What -> kind of reader, suffix and bytes of an original model. Pickles of every protocol among them."""
    import scipy.sparse

    arrays = _flame()
    sparse = arrays | {"J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"])}
    found = {
        f"flame pickle {protocol}": ("flame", ".pkl", pickle.dumps(sparse, protocol)) for protocol in (0, 2, 3, 4, 5)
    }
    for name, kind, content in (("flame npz", "flame", arrays), ("generic npz", "generic", _generic())):
        out = io.BytesIO()
        np.savez_compressed(out, **content)  # type: ignore[arg-type]
        found[name] = kind, ".npz", out.getvalue()
    out = io.BytesIO()
    np.save(out, np.array({"meanshape": np.zeros(36), "idBase": np.zeros((36, 150)), "tri": arrays["f"]}, object))
    found["faceverse npy"] = "faceverse", ".npy", out.getvalue()
    shared: list = [[0] * 10]
    for _ in range(20):
        shared = [shared, shared]
    found["shared lists"] = "flame", ".pkl", pickle.dumps({**arrays, "weights": shared}, 2)
    found["a call"] = "flame", ".pkl", pickle.dumps({**arrays, "weights": _Calls()}, 2)
    return found


class _Calls:
    """Pickled, it asks whoever opens it to run a function."""

    def __reduce__(self) -> tuple:
        return print, ("a pickle was executed",)


@cache
def decoder() -> tuple[bytes, str]:
    """An ONNX file that moves the twelve corners of an icosahedron by a code, and that as an OBJ file."""
    from onnx import TensorProto, helper, numpy_helper

    dice = np.random.default_rng(0)
    golden = (1 + 5**0.5) / 2
    verts = np.array([np.roll([0, a, b * golden], k) for k in range(3) for a in (-1, 1) for b in (-1, 1)]) * 60
    weights = [
        numpy_helper.from_array(dice.normal(0, 2, (3, 36)).astype(np.float32), "basis"),
        numpy_helper.from_array(verts.reshape(-1).astype(np.float32), "mean"),
        helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 12, 3]),
    ]
    nodes = [
        helper.make_node("Gemm", ["identity", "basis", "mean"], ["flat"], alpha=1.0),
        helper.make_node("Reshape", ["flat", "shape"], ["verts"]),
    ]
    given = helper.make_tensor_value_info("identity", TensorProto.FLOAT, ["n", 3])
    gives = helper.make_tensor_value_info("verts", TensorProto.FLOAT, ["n", 12, 3])
    graph = helper.make_graph(nodes, "decoder", [given], [gives], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    lines = [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in verts]
    near = [(a, b, c) for a in range(12) for b in range(a) for c in range(b)
            if max(np.linalg.norm(verts[p] - verts[q]) for p, q in ((a, b), (b, c), (a, c))) < 121]  # fmt: skip
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in near]
    return made.SerializeToString(), "\n".join(lines)


@cache
def recognition() -> bytes:
    """An ONNX file that makes 16 numbers of a picture of 32 pixels."""
    from onnx import TensorProto, helper, numpy_helper

    dice = np.random.default_rng(0)
    shapes = {"w": (4, 3, 3, 3), "slope": (4, 1, 1), "basis": (4 * 16 * 16, 16), "mean": (16,)}
    weights = [numpy_helper.from_array(dice.normal(0, 0.1, s).astype(np.float32), name) for name, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["picture", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("PRelu", ["a", "slope"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "basis", "mean"], ["embedding"]),
    ]
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 32, 32])
    gives = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16])
    graph = helper.make_graph(nodes, "recognition", [given], [gives], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6).SerializeToString()


@cache
def networks() -> dict[str, bytes]:
    """Name -> ONNX file: the bundled ones, and a small parser of somebody else's making."""
    from onnx import TensorProto, helper, numpy_helper

    from facefit.bundled import bundled, parser_path

    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(11, 3, 3, 3)).astype(np.float32), "w")
    node = helper.make_node("Conv", ["picture", "w"], ["scores"], pads=[1, 1, 1, 1])
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, 64, 64])
    gives = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 11, 64, 64])
    graph = helper.make_graph([node], "parser", [given], [gives], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    found = {"small": model.SerializeToString()}
    found["facefit"] = parser_path().read_bytes()
    found["detector"] = bundled("face_detector_short.onnx").read_bytes()
    return found
