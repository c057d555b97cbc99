"""USD with the model's expressions as blend shapes, by the library usd-core (the extra `usd`), packed as .usdz.

Metres, y up, facing +z. `/head` is a SkelRoot with one mesh, whose subsets skin, eyes, teeth and tongue have a material
each, a skeleton of the one joint `head`, and an animation that sets the fitted weights. The mesh keeps the model's
vertices and their order; texture coordinates belong to corners.

FBX is not written: its format is not published, and the one library that writes it may not be passed on.

Source: Pixar, OpenUSD, UsdSkel and UsdPreviewSurface schemas.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import OutputError
from ..files.picture_bytes import media_type
from ..model.face_model import FaceModel
from ..model.pieces import PIECES, face_pieces
from .morph_glb import MM_PER_METRE, NODE, ROUGHNESS, mesh_moves
from .morph_targets import Morphs

_ROOT = f"/{NODE}"
_NORMALS = "normals.png"


def load_usd() -> Any:
    """The modules of usd-core. Raises OutputError: it is not installed."""
    try:
        from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdSkel, UsdUtils, Vt
    except ImportError:
        raise OutputError("a .usdz is written by usd-core, which is not here: pip install 'facefit[usd]'") from None
    return SimpleNamespace(
        Gf=Gf, Sdf=Sdf, Tf=Tf, Usd=Usd, UsdGeom=UsdGeom, UsdShade=UsdShade, UsdSkel=UsdSkel, UsdUtils=UsdUtils, Vt=Vt
    )


def morph_usdz(model: FaceModel, morphs: Morphs, texture: bytes, normals: bytes | None = None) -> bytes:
    """A face with its expressions as one .usdz; see the module.

    Args:
        texture: PNG or JPEG, row 0 at v = 1. normals: PNG, a tangent-space normal map of the skin.
    Raises:
        OutputError: usd-core is not installed.
    """
    usd = load_usd()
    with tempfile.TemporaryDirectory() as folder:
        picture = "texture.png" if media_type(texture) == "image/png" else "texture.jpg"
        Path(folder, picture).write_bytes(texture)
        if normals is not None:
            Path(folder, _NORMALS).write_bytes(normals)
        layer, package = str(Path(folder, f"{NODE}.usdc")), str(Path(folder, f"{NODE}.usdz"))
        stage = usd.Usd.Stage.CreateNew(layer)
        _fill(usd, stage, model, morphs, picture, detailed=normals is not None)
        stage.GetRootLayer().Save()
        if not usd.UsdUtils.CreateNewUsdzPackage(usd.Sdf.AssetPath(layer), package):
            raise OutputError("usd-core could not pack the .usdz")
        return Path(package).read_bytes()


def _fill(usd: Any, stage: Any, model: FaceModel, morphs: Morphs, picture: str, detailed: bool) -> None:
    usd.UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    usd.UsdGeom.SetStageUpAxis(stage, usd.UsdGeom.Tokens.y)
    root = usd.UsdSkel.Root.Define(stage, _ROOT)
    root.GetPrim().SetMetadata("comment", f"facefit; face model {model.name} {model.version}, {model.license}")
    stage.SetDefaultPrim(root.GetPrim())
    mesh = _mesh(usd, stage, model, morphs)
    for name in PIECES:
        chosen = np.flatnonzero(face_pieces(model) == PIECES.index(name))
        if len(chosen):
            subset = usd.UsdGeom.Subset.CreateGeomSubset(
                mesh, name, usd.UsdGeom.Tokens.face, _array(usd, "Int", chosen), "materialBind"
            )
            material = _material(usd, stage, name, picture, detailed and name == "skin")
            usd.UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    binding = usd.UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    binding.SetMaterialBindSubsetsFamilyType(usd.UsdGeom.Tokens.partition)
    _skeleton(usd, stage, mesh, morphs)


def _array(usd: Any, kind: str, values: np.ndarray) -> Any:
    """A NumPy array as one of USD's: kind "Int", "Vec3f" or "Vec2f"."""
    number = np.int32 if kind == "Int" else np.float32
    return getattr(usd.Vt, f"{kind}Array").FromNumpy(np.ascontiguousarray(values, number))


def _mesh(usd: Any, stage: Any, model: FaceModel, morphs: Morphs) -> Any:
    faces, uv_faces = model.faces.cpu().numpy(), model.uv_faces.cpu().numpy()
    normals, moves = mesh_moves(morphs.base, faces, morphs.targets)
    points = morphs.base / MM_PER_METRE
    mesh = usd.UsdGeom.Mesh.Define(stage, f"{_ROOT}/mesh")
    mesh.CreatePointsAttr(_array(usd, "Vec3f", points))
    mesh.CreateExtentAttr(_array(usd, "Vec3f", np.stack([points.min(0), points.max(0)])))
    mesh.CreateFaceVertexCountsAttr(_array(usd, "Int", np.full(len(faces), 3)))
    mesh.CreateFaceVertexIndicesAttr(_array(usd, "Int", faces.reshape(-1)))
    mesh.CreateSubdivisionSchemeAttr(usd.UsdGeom.Tokens.none)
    mesh.CreateNormalsAttr(_array(usd, "Vec3f", normals))
    mesh.SetNormalsInterpolation(usd.UsdGeom.Tokens.vertex)
    st = usd.UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
        "st", usd.Sdf.ValueTypeNames.TexCoord2fArray, usd.UsdGeom.Tokens.faceVarying
    )
    st.Set(_array(usd, "Vec2f", np.clip(model.uv.cpu().numpy(), 0, 1)))
    st.SetIndices(_array(usd, "Int", uv_faces.reshape(-1)))
    binding = usd.UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateBlendShapesAttr(list(morphs.names))
    targets = binding.CreateBlendShapeTargetsRel()
    for name, moved in zip(morphs.names, moves, strict=True):
        shape = usd.UsdSkel.BlendShape.Define(stage, f"{_ROOT}/mesh/{usd.Tf.MakeValidIdentifier(name)}")
        offsets, turns = np.zeros((2, len(points), 3))
        offsets[moved.rows], turns[moved.turned] = moved.move / MM_PER_METRE, moved.turn
        rows = np.union1d(moved.rows, moved.turned)
        shape.CreateOffsetsAttr(_array(usd, "Vec3f", offsets[rows]))
        shape.CreateNormalOffsetsAttr(_array(usd, "Vec3f", turns[rows]))
        shape.CreatePointIndicesAttr(_array(usd, "Int", rows))
        targets.AddTarget(shape.GetPath())
    return mesh


def _material(usd: Any, stage: Any, name: str, picture: str, detailed: bool) -> Any:
    types = usd.Sdf.ValueTypeNames
    path = f"{_ROOT}/materials/{name}"
    material = usd.UsdShade.Material.Define(stage, path)
    surface, image, where = (
        usd.UsdShade.Shader.Define(stage, f"{path}/{part}") for part in ("surface", "texture", "st")
    )
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", types.Float).Set(ROUGHNESS[name])
    surface.CreateInput("metallic", types.Float).Set(0.0)
    image.CreateIdAttr("UsdUVTexture")
    image.CreateInput("file", types.Asset).Set(picture)
    image.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    for axis in ("wrapS", "wrapT"):
        image.CreateInput(axis, types.Token).Set("clamp")
    where.CreateIdAttr("UsdPrimvarReader_float2")
    where.CreateInput("varname", types.String).Set("st")
    image.CreateInput("st", types.Float2).ConnectToSource(where.CreateOutput("result", types.Float2))
    colour = image.CreateOutput("rgb", types.Float3)
    surface.CreateInput("diffuseColor", types.Color3f).ConnectToSource(colour)
    if detailed:
        turned = usd.UsdShade.Shader.Define(stage, f"{path}/normals")
        turned.CreateIdAttr("UsdUVTexture")
        turned.CreateInput("file", types.Asset).Set(_NORMALS)
        turned.CreateInput("sourceColorSpace", types.Token).Set("raw")
        turned.CreateInput("scale", types.Float4).Set(usd.Gf.Vec4f(2, 2, 2, 1))  # numbers from 0 to 1 to -1 to 1
        turned.CreateInput("bias", types.Float4).Set(usd.Gf.Vec4f(-1, -1, -1, 0))
        for axis in ("wrapS", "wrapT"):
            turned.CreateInput(axis, types.Token).Set("clamp")
        turned.CreateInput("st", types.Float2).ConnectToSource(where.GetOutput("result"))
        found = turned.CreateOutput("rgb", types.Float3)
        surface.CreateInput("normal", types.Normal3f).ConnectToSource(found)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", types.Token))
    return material


def _skeleton(usd: Any, stage: Any, mesh: Any, morphs: Morphs) -> None:
    """One joint that carries the mesh, and the animation that holds the weights."""
    still = usd.Vt.Matrix4dArray([usd.Gf.Matrix4d(1.0)])
    skeleton = usd.UsdSkel.Skeleton.Define(stage, f"{_ROOT}/skeleton")
    skeleton.CreateJointsAttr([NODE])
    skeleton.CreateBindTransformsAttr(still)
    skeleton.CreateRestTransformsAttr(still)
    animation = usd.UsdSkel.Animation.Define(stage, f"{_ROOT}/skeleton/animation")
    animation.CreateBlendShapesAttr(list(morphs.names))
    weights = [float(weight) for weight in morphs.weights]
    set_to = animation.CreateBlendShapeWeightsAttr()
    set_to.Set(weights)
    set_to.Set(weights, 1.0)  # Blender takes weights from time samples alone
    stage.SetStartTimeCode(1.0)
    stage.SetEndTimeCode(1.0)
    usd.UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    binding = usd.UsdSkel.BindingAPI(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointIndicesPrimvar(True, 1).Set(usd.Vt.IntArray([0]))
    binding.CreateJointWeightsPrimvar(True, 1).Set(usd.Vt.FloatArray([1.0]))
