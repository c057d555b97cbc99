"""What the worker processes of a batch do, by name: the steps of `facefit.batch.steps`, with faces as bytes.

The leading process passes those bytes on without looking into them, so that it needs neither torch nor much memory.
"""

from __future__ import annotations

import pickle
import time
from typing import Any

from ..errors import OutputError
from .manifest import Record
from .options import Halt
from .plan import Task
from .steps import Prepared, Stages
from .travel import pack, unpack


class StageCalls:
    """Answers the calls of the lead; keeps prepared photos until they are finished or forgotten."""

    def __init__(self, stages: Stages) -> None:
        self.stages = stages
        self.kept: dict[int, Prepared] = {}

    def __call__(self, call: str, *arguments: Any) -> Any:
        """The answer of the method named `call`; a Halt when its results cannot be kept."""
        try:
            return getattr(self, call)(*arguments)
        except OutputError as error:
            return Halt(str(error))

    def whole(self, task: Task) -> Record:
        """All of one photo."""
        return self.stages.whole(task)

    def prepare(self, ticket: int, task: Task) -> Record | list[bytes]:
        """The faces of a photo, which is kept under its ticket; or the record of its failure."""
        prepared = self.stages.prepare(task)
        if isinstance(prepared, Record):
            return prepared
        self.kept[ticket] = prepared
        return [pack(face) for face in prepared.faces]

    def fit(self, faces: list[bytes]) -> tuple[list[bytes], float]:
        """The fits of faces of any photos, and the seconds that took."""
        began = time.perf_counter()
        fits = self.stages.fit([unpack(face) for face in faces])
        return [pickle.dumps(fit, protocol=5) for fit in fits], time.perf_counter() - began

    def finish(self, ticket: int, fits: list[bytes], seconds: list[float]) -> Record:
        """Write what was kept under this ticket."""
        return self.stages.finish(self.kept.pop(ticket), [pickle.loads(fit) for fit in fits], seconds)
