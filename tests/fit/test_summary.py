"""A fit in a few numbers: one meaning of Part IoU, and nothing that JSON does not know."""

import json
import math
from dataclasses import replace

import pytest
from helpers.synthetic_result import synthetic_result

from facefit.anatomy.parts import MERGED, PARTS
from facefit.fit.summary import model_block


@pytest.fixture(scope="module")
def result(toy_model):
    scores = dict.fromkeys(PARTS, 0.9) | {"left_eye": 0.5, "skin": None} | dict.fromkeys(MERGED, 0.1)
    return replace(synthetic_result(toy_model), part_iou=scores)


def test_part_iou_is_the_mean_over_the_eight_parts(result):
    """Eyes, brows, lips and mouth are merged of parts that are counted already; what nobody sees does not count."""
    assert result.summary.part_iou == pytest.approx((6 * 0.9 + 0.5) / 7)
    assert result.summary.parts == result.part_iou
    assert replace(result, part_iou={}).summary.part_iou is None


def test_it_is_json(result):
    odd = replace(result, energies={"prdl": math.inf, "landmark": 2.0}, landmark_error=math.nan)
    found = odd.summary
    assert found.energies == {"prdl": None, "landmark": 2.0} and found.landmark_error is None
    assert json.loads(json.dumps(vars(found), allow_nan=False))["status"] == result.status


def test_the_models_block(toy_model, result):
    assert result.summary.model == model_block(toy_model)
    assert model_block(toy_model) == {
        "name": "toy", "version": "1", "license": "CC0-1.0", "checksum": toy_model.checksum, "sizes": toy_model.sizes,
    }  # fmt: skip
