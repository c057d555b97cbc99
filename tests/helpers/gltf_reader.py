"""A strict reader of GLB files: what the glTF 2.0 specification demands is asserted, and the mesh is posed at a key."""

import json
import struct

import numpy as np

TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks, at = [], 12
        while at < length:
            size, kind = struct.unpack_from("<I4s", data, at)
            assert size % 4 == 0
            chunks.append((kind, data[at + 8 : at + 8 + size]))
            at += 8 + size
        assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"] and at == length
        self.document, self.binary = json.loads(chunks[0][1]), chunks[1][1]
        (buffer,) = self.document["buffers"]
        assert 0 <= len(self.binary) - buffer["byteLength"] < 4 and self.document["asset"]["version"] == "2.0"
        for view in self.document["bufferViews"]:
            assert view["buffer"] == 0 and view["byteOffset"] + view["byteLength"] <= buffer["byteLength"]
        self.arrays = [self._accessor(accessor) for accessor in self.document["accessors"]]
        self._check_nodes()
        for animation in self.document.get("animations", []):
            self._check_animation(animation)

    def _view(self, index: int, kind: str, count: int, offset: int = 0) -> np.ndarray:
        view = self.document["bufferViews"][index]
        start = view["byteOffset"] + offset
        width = np.dtype(kind).itemsize
        assert start % width == 0 and "byteStride" not in view and count * width <= view["byteLength"] - offset
        return np.frombuffer(self.binary, kind, count, start)

    def _rows(self, index: int, kind: str, count: int, width: int) -> np.ndarray:
        """(count, width); attributes of vertices lie on multiples of four bytes."""
        view, size = self.document["bufferViews"][index], np.dtype(kind).itemsize
        stride = view.get("byteStride", width * size)
        assert view.get("target") != 34962 or stride % 4 == 0
        assert (count - 1) * stride + width * size <= view["byteLength"]
        data = np.frombuffer(self.binary, "u1", count * stride, view["byteOffset"]).reshape(count, stride)
        return np.ascontiguousarray(data[:, : width * size]).view(kind)

    def _accessor(self, accessor: dict) -> np.ndarray:
        kind, width, count = TYPES[accessor["componentType"]], WIDTHS[accessor["type"]], accessor["count"]
        assert count >= 1
        if "bufferView" in accessor:
            values = self._rows(accessor["bufferView"], kind, count, width)
        else:
            values = np.zeros((count, width), kind)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            at = self._view(sparse["indices"]["bufferView"], TYPES[sparse["indices"]["componentType"]], sparse["count"])
            assert (np.diff(at.astype(np.int64)) > 0).all() and at.max() < count
            values = values.copy()
            values[at] = self._view(sparse["values"]["bufferView"], kind, sparse["count"] * width).reshape(-1, width)
        for name, reduce in (("min", np.min), ("max", np.max)):
            if name in accessor:
                assert len(accessor[name]) == width and np.allclose(reduce(values, 0), accessor[name], atol=1e-6)
        assert np.isfinite(values).all()
        if accessor.get("normalized"):
            assert kind != "<f4"
            values = np.maximum(values / float(np.iinfo(kind).max), -1)
        return values

    def _check_nodes(self) -> None:
        document = self.document
        for node in document["scenes"][document["scene"]]["nodes"]:
            assert 0 <= node < len(document["nodes"])
        for node in document["nodes"]:
            assert "matrix" not in node and ("mesh" not in node or node["mesh"] < len(document["meshes"]))
            assert abs(np.linalg.norm(node.get("rotation", [0, 0, 0, 1])) - 1) < 1e-6
        for mesh in document["meshes"]:
            for primitive in mesh["primitives"]:
                position = document["accessors"][primitive["attributes"]["POSITION"]]
                assert "min" in position and "max" in position
                count = position["count"]
                assert all(document["accessors"][a]["count"] == count for a in primitive["attributes"].values())
                assert self.arrays[primitive["indices"]].max() < count
                length = np.linalg.norm(self.arrays[primitive["attributes"]["NORMAL"]], axis=1)
                assert np.allclose(length, 1, atol=1e-5 if "extensionsUsed" not in document else 0.02)
                moved = [self.arrays[number] for target in primitive["targets"] for number in target.values()]
                assert all(values.shape == (count, 3) for values in moved)
                assert len(primitive["targets"]) == len(mesh["weights"]) == len(mesh["extras"]["targetNames"])
        for camera in document.get("cameras", []):
            view = camera[camera["type"]]
            assert 0 < view["yfov"] < np.pi and 0 < view["znear"] < view["zfar"] and view["aspectRatio"] > 0

    def _check_animation(self, animation: dict) -> None:
        document, targets = self.document, set()
        for channel in animation["channels"]:
            sampler, target = animation["samplers"][channel["sampler"]], channel["target"]
            assert (target["node"], target["path"]) not in targets
            targets.add((target["node"], target["path"]))
            keys, values = document["accessors"][sampler["input"]], document["accessors"][sampler["output"]]
            assert keys["type"] == "SCALAR" and keys["componentType"] == 5126 and "min" in keys and "max" in keys
            times = self.arrays[sampler["input"]][:, 0]
            assert times[0] >= 0 and (np.diff(times) > 0).all()
            each = 1
            if target["path"] == "weights":
                each = len(document["meshes"][document["nodes"][target["node"]]["mesh"]]["weights"])
            kind = {"translation": "VEC3", "rotation": "VEC4", "weights": "SCALAR"}[target["path"]]
            assert values["type"] == kind and values["count"] == each * keys["count"]
            if target["path"] == "rotation":
                assert np.allclose(np.linalg.norm(self.arrays[sampler["output"]], axis=1), 1, atol=1e-5)

    def keys(self) -> np.ndarray:
        """Seconds of the first animation's keys."""
        return self.arrays[self.document["animations"][0]["samplers"][0]["input"]][:, 0]

    def pieces(self) -> list[str]:
        """The material of each primitive."""
        (mesh,) = self.document["meshes"]
        return [self.document["materials"][primitive["material"]]["name"] for primitive in mesh["primitives"]]

    def attribute(self, name: str, weights=None) -> np.ndarray:
        """(N, ...) of the vertices of all primitives, one after the other, moved by the targets (None: the mesh's own
        weights), before any node."""
        (mesh,) = self.document["meshes"]
        found = []
        for primitive in mesh["primitives"]:
            values = self.arrays[primitive["attributes"][name]].astype(np.float64)
            targets = zip(mesh["weights"] if weights is None else weights, primitive["targets"], strict=True)
            if name in ("POSITION", "NORMAL"):
                values = values + sum(float(weight) * self.arrays[target[name]] for weight, target in targets)
            found.append(values)
        return np.concatenate(found)

    def shown(self, weights=None) -> np.ndarray:
        """(N, 3) metres: the vertices below the head's own node, on which another one may undo a quantization."""
        (node,) = [node for node in self.document["nodes"] if "mesh" in node]
        points = self.attribute("POSITION", weights)
        if "skin" in node:
            return self.skinned(points)
        if node is not self.document["nodes"][0]:
            points = points * node["scale"] + node["translation"]
        return points

    def skinned(self, points: np.ndarray, turns: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """Points (N, 3) of the buffers under the skin; some bones turned by (3, 3) more than at rest."""
        (skin,), nodes = self.document["skins"], self.document["nodes"]
        world = {}
        for bone in skin["joints"]:  # a parent before its children
            parent = [node for node in skin["joints"] if bone in nodes[node].get("children", ())]
            here = np.eye(4)
            here[:3, 3] = (
                nodes[bone].get("translation", (0, 0, 0)) if bone else (0, 0, 0)
            )  # the animation's, in `posed`
            here[:3, :3] = (turns or {}).get(nodes[bone]["name"], np.eye(3))
            world[bone] = (world[parent[0]] if parent else np.eye(4)) @ here
        bind = self.arrays[skin["inverseBindMatrices"]].reshape(-1, 4, 4).transpose(0, 2, 1)  # stored by columns
        moves = np.stack([world[bone] for bone in skin["joints"]]) @ bind
        joints, weights = self.attribute("JOINTS_0").astype(int), self.attribute("WEIGHTS_0")
        np.testing.assert_allclose(weights.sum(1), 1)
        whole = np.c_[points, np.ones(len(points))]
        return np.einsum("nk,nkij,nj->ni", weights, moves[joints], whole)[:, :3]

    def triangles(self) -> np.ndarray:
        """(F, 3) into the vertices of `attribute`."""
        found, first = [], 0
        for primitive in self.document["meshes"][0]["primitives"]:
            found.append(self.arrays[primitive["indices"]].reshape(-1, 3).astype(int) + first)
            first += len(self.arrays[primitive["attributes"]["POSITION"]])
        return np.concatenate(found)

    def posed(self, key: int) -> np.ndarray:
        """(N, 3) vertices in the scene at a key of the first animation."""
        animation = self.document["animations"][0]
        moved = {}
        for channel in animation["channels"]:
            values = self.arrays[animation["samplers"][channel["sampler"]]["output"]]
            moved[channel["target"]["path"]] = values.reshape(len(self.keys()), -1)[key]
        x, y, z, w = (float(value) for value in moved["rotation"])
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        return self.shown(moved["weights"]) @ rotation.T + moved["translation"]
