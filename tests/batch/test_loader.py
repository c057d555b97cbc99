"""A loader says what its worker needs before anything is loaded."""

import pytest

from facefit.batch.loader import StageLoader
from facefit.batch.options import BatchOptions
from facefit.job.options import JobOptions


@pytest.mark.parametrize(
    ("job", "own", "gpu"),
    [("cpu", None, False), ("cuda", None, True), ("cuda:1", None, True), ("cuda", "cpu", False), ("cpu", "cuda", True)],
)
def test_whether_it_works_on_a_gpu(job, own, gpu):
    assert StageLoader(BatchOptions(JobOptions(device=job), "out"), own).on_gpu is gpu
