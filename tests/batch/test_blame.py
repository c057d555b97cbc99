"""Whose fault a failure is: judged by what the errors came from."""

import errno
import os

import pytest
import torch

from facefit.batch.blame import keeps_nothing, no_memory, of_machine, was_killed
from facefit.batch.workers import how_it_died
from facefit.errors import FitError, ImageError, OutputError


def hidden(kind, cause):
    """An error as facefit raises it: what it came from is not shown."""
    try:
        try:
            raise cause
        except Exception:
            raise kind("told in one line") from None
    except kind as error:
        return error


def system(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_place_that_keeps_nothing(number):
    error = hidden(OutputError, system(number))
    assert keeps_nothing(error) and of_machine(error)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ])
def test_a_name_that_cannot_be_is_one_photos_matter(number):
    error = hidden(OutputError, system(number))
    assert not keeps_nothing(error) and of_machine(error)  # another OUT may take it
    assert not keeps_nothing(OutputError("would overwrite the input"))


def test_stores_have_errors_of_their_own():
    assert keeps_nothing(hidden(OutputError, RuntimeError("403")))
    assert not keeps_nothing(hidden(ImageError, RuntimeError("403")))


@pytest.mark.parametrize(
    ("cause", "expected"),
    [(MemoryError(), True), (system(errno.EMFILE), True), (torch.OutOfMemoryError("CUDA out of memory"), True),
     (system(errno.EACCES), False), (ValueError("damaged"), False)],
)  # fmt: skip
def test_what_a_photo_cannot_help(cause, expected):
    assert of_machine(hidden(ImageError, cause)) is of_machine(cause) is expected


def test_ordinary_failures_are_the_photos():
    assert (
        not of_machine(FitError("nan")) and not of_machine(ZeroDivisionError()) and not no_memory(ValueError("memory"))
    )


@pytest.mark.parametrize(("how", "expected"), [(-9, True), (-15, True), (-11, False), (-6, False), (70, False)])
def test_who_ended_a_worker(how, expected):
    assert was_killed(how_it_died(how)) is expected


def test_a_lost_actor_is_a_lost_machine():
    assert was_killed("the worker process died (The actor died because its node has died)")
