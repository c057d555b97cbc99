"""Every published model has its reader."""

import inspect
from pathlib import Path

import pytest

from facefit.errors import ModelError
from facefit.importers.read import READERS, read_published
from facefit.model.catalogue import KINDS


def test_every_kind_has_a_reader_that_takes_its_options():
    assert set(READERS) == set(KINDS)
    for name, kind in KINDS.items():
        reader = READERS[name]()
        assert reader.__name__ == f"read_{name}"
        accepted = inspect.signature(reader).parameters
        assert set(kind.options) == set(list(accepted)[1:]), name
        with pytest.raises(ModelError, match="nowhere"):
            read_published(name, Path("nowhere"))
