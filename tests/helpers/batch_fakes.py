"""Batches without fits, whose photos are text files that say what becomes of them; and without processes."""

import os
import pickle
import resource
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from facefit.batch.manifest import Record
from facefit.batch.options import Failure, Halt
from facefit.batch.plan import Task
from facefit.batch.store import open_store
from facefit.batch.workers import Event
from facefit.errors import OutputError


class WorkersHere:
    """Workers of this process: what they are sent and what they answer is pickled as for a pipe, and nothing waits."""

    def __init__(self) -> None:
        self.calls, self.events = [], []

    def start(self, loader, device=False):
        self.calls.append(pickle.loads(pickle.dumps(loader))())
        self.events.append(Event(len(self.calls) - 1, "ready"))
        return len(self.calls) - 1

    def submit(self, worker, call, *arguments):
        reply = self.calls[worker](call, *pickle.loads(pickle.dumps(arguments)))
        self.events.append(Event(worker, "reply", pickle.loads(pickle.dumps(reply))))

    def wait(self, timeout):
        events, self.events = self.events, []
        return events

    def kill(self, worker):
        raise AssertionError("nobody is ended here")

    def close(self):
        self.calls = []


@dataclass(frozen=True)
class FakeLoader:
    """Loads nothing; `wrong` makes that fail."""

    output: str
    wrong: str = ""
    on_gpu: bool = False

    def __call__(self):
        if self.wrong == "value":
            raise ValueError("no such thing")
        if self.wrong == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.wrong == "full":  # as a full disk: no file grows beyond this
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        return FakeCalls(self.output)


class FakeCalls:
    """Answers as facefit.batch.calls.StageCalls does. The text of a photo is a list of words, `STEP:WHAT`."""

    def __init__(self, output: str) -> None:
        self.store = open_store(output)
        self.kept = {}

    def __call__(self, call, *arguments):
        try:
            return getattr(self, call)(*arguments)
        except OutputError as error:
            return Halt(str(error))

    def whole(self, task: Task) -> Record:
        prepared = self.prepare(0, task)
        if isinstance(prepared, Record):
            return prepared
        return self.finish(0, self.fit(prepared)[0], [0.1] * len(prepared))

    def prepare(self, ticket, task):
        self.kept[ticket] = task
        words = task.photo.read_text().split()
        act("prepare", words, task.photo)
        if "noface" in words:
            return self.remembered(Record(task.key, task.bytes, task.modified, "failed", 3, "no face"))
        faces = 1 + sum(word == "face" for word in words)
        weight = bytes(2_000_000 if "large" in words else 0)  # more than a pipe takes that nobody reads
        return [pickle.dumps((str(task.photo), words, weight)) for _ in range(faces)]

    def fit(self, faces):
        fits = []
        for face in faces:
            photo, words, _ = pickle.loads(face)
            act("fit", words, Path(photo))
            fits.append(pickle.dumps(Failure(5, "exploded") if "explode" in words else len(faces)))
        return fits, 0.01 * len(faces)

    def finish(self, ticket, fits, seconds):
        task = self.kept.pop(ticket)
        act("finish", task.photo.read_text().split(), task.photo)
        fits = [pickle.loads(fit) for fit in fits]
        record = Record(task.key, task.bytes, task.modified, "done", seconds=sum(seconds))
        wrong = [fit for fit in fits if isinstance(fit, Failure)]
        if wrong:
            return self.remembered(
                replace(record, status="failed", exit_code=5, error=wrong[0].error, final=wrong[0].final)
            )
        contents = {task.mesh: b"mesh" * 1000, str(Path(task.mesh).with_suffix(".json")): b"{}" * 1000}
        self.store.write(contents, [task.photo])
        faces = [{"face": k, "mesh": task.mesh, "energies": {"together": fit}} for k, fit in enumerate(fits, 1)]
        return self.remembered(replace(
            record, outputs=list(contents), output_bytes=[len(data) for data in contents.values()], faces=faces,
        ))  # fmt: skip

    def remembered(self, record):
        if self.store.workers_remember:
            self.store.remember(record)
        return record


def act(step: str, words: list[str], photo: Path) -> None:
    """segv, kill: this process dies; stop: it is stopped; once: only the first time; sleep: longer than tests wait."""
    for word in words:
        at, _, what = word.partition(":")
        if at != step:
            continue
        if what.endswith("-once"):
            mark = photo.with_suffix(".seen")
            if mark.exists():
                continue
            mark.write_text("")
            what = what.removesuffix("-once")
        if what == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if what in ("segv", "kill"):
            os.kill(os.getpid(), signal.SIGSEGV if what == "segv" else signal.SIGKILL)
            time.sleep(60)
        time.sleep(60 if what == "sleep" else 0.02 if what == "pause" else 0)


def photos(folder: Path, **texts: str) -> Path:
    """A folder of photos that are texts."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.jpg").write_text(text)
    return folder
