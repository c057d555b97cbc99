"""USD: read back by the library that wrote it, its blend shapes summed up by hand."""

import sys

import numpy as np
import pytest
from helpers.synthetic_result import synthetic_result
from helpers.toy_model import toy_arrays, with_pieces

from facefit.errors import OutputError
from facefit.geometry.triangles import vertex_normals
from facefit.model.model_file import from_arrays
from facefit.model.pieces import PIECES, face_pieces
from facefit.output.morph_targets import morph_targets
from facefit.output.morph_usd import morph_usdz
from facefit.output.write import write_result


@pytest.fixture(scope="module")
def result():
    return synthetic_result(from_arrays(with_pieces(toy_arrays())), yaw=0.3)


def test_blend_shapes_make_the_fitted_mesh(result, tmp_path):
    pytest.importorskip("pxr")
    from pxr import Usd, UsdGeom, UsdShade, UsdSkel

    path = write_result(result, tmp_path / "face.usdz", texture_size=16)[0]
    stage, model = Usd.Stage.Open(str(path)), result.model
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1 and UsdGeom.GetStageUpAxis(stage) == "Y"
    mesh = UsdGeom.Mesh.Get(stage, "/head/mesh")
    np.testing.assert_array_equal(mesh.GetFaceVertexIndicesAttr().Get(), model.faces.numpy().reshape(-1))
    binding = UsdSkel.BindingAPI(mesh.GetPrim())
    assert list(binding.GetBlendShapesAttr().Get()) == list(model.expression_names)
    animation = UsdSkel.Animation.Get(stage, "/head/skeleton/animation")
    weights = animation.GetBlendShapeWeightsAttr().Get()
    np.testing.assert_allclose(weights, result.parameters.expression[0], atol=1e-6)
    points, normals = np.array(mesh.GetPointsAttr().Get()), np.array(mesh.GetNormalsAttr().Get())
    for weight, target in zip(weights, binding.GetBlendShapeTargetsRel().GetTargets(), strict=True):
        shape = UsdSkel.BlendShape.Get(stage, target)
        rows = np.array(shape.GetPointIndicesAttr().Get())
        points[rows] += weight * np.array(shape.GetOffsetsAttr().Get())
        normals[rows] += weight * np.array(shape.GetNormalOffsetsAttr().Get())
    np.testing.assert_allclose(points, result.verts / 1000, atol=1e-5)
    turned = vertex_normals(result.verts, model.faces.numpy())
    assert np.abs(normals / np.linalg.norm(normals, axis=1, keepdims=True) - turned).mean() < 0.01
    st = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").ComputeFlattened()
    np.testing.assert_allclose(st, model.uv.numpy()[model.uv_faces.numpy().reshape(-1)], atol=1e-6)
    for number, subset in enumerate(UsdGeom.Subset.GetAllGeomSubsets(mesh)):
        chosen = np.flatnonzero(face_pieces(model) == number)
        np.testing.assert_array_equal(subset.GetIndicesAttr().Get(), chosen)
        material = UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()[0]
        assert material.GetPrim().GetName() == PIECES[number]


def test_the_validators_of_the_library_find_nothing(result, tmp_path):
    pytest.importorskip("pxr")
    validation = pytest.importorskip("pxr.UsdValidation")
    from pxr import Usd

    stage = Usd.Stage.Open(str(write_result(result, tmp_path / "face.usdz", texture_size=16)[0]))
    validators = validation.ValidationRegistry().GetOrLoadAllValidators()
    found = validation.ValidationContext(validators).Validate(stage)
    assert len(validators) > 10 and [error.GetMessage() for error in found] == []


def test_without_the_library(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(OutputError, match=r"pip install 'facefit\[usd\]'"):
        morph_usdz(result.model, morph_targets(result.scene), b"\x89PNG")
