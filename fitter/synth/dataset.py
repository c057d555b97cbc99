"""A folder of synthetic people: made by any number of workers, gone on with after a kill, always the same.

    DATA/synth.json                        what was asked for
    DATA/pictures/0000/000012_00.png ...   a picture and what is known of it, see facefit.synth.sample
    DATA/shards/0000.tar                   the same as WebDataset reads it, where asked for
    DATA/sheet.jpg, DATA/README.md         the first of them to look at, and the data card

The files of a picture appear together or not at all, so what is there is finished.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..compute.threads import only_kernels
from ..errors import FaceFitError, InputError, ModelError, OutputError
from ..files.locks import try_lock
from ..files.schema import parse, read_text
from ..files.together import Area, recover, write_together
from ..model.face_model import FaceModel
from ..model.model_file import load_model
from .card import data_card
from .expressions import check_expressions
from .heads import Head, model_head
from .options import SynthOptions
from .pools import Make, Pool, ProcessPool, Ready
from .sample import make_sample, sample_files, sample_name, sample_suffixes
from .sheet import contact_sheet

OPTIONS, PICTURES, SHARDS, SHEET, CARD = "synth.json", "pictures", "shards", "sheet.jpg", "README.md"
_FOLDER = 1000  # people in one folder
_AHEAD = 4  # pictures that wait for each worker


@dataclass(frozen=True)
class Studio:
    """What makes pictures: the options, the model, the head that is painted."""

    options: SynthOptions
    model: FaceModel
    head: Head

    def make(self, data: Path, person: int, photo: int) -> None:
        """Write one picture and what is known of it."""
        with only_kernels():
            sample = make_sample(self.head, self.model, self.options, person, photo)
        path = picture_path(data, person, photo)
        path.parent.mkdir(exist_ok=True)
        files = sample_files(sample, self.options, self.head.faces)
        write_together({path.with_name(path.name + suffix): data for suffix, data in files}, _area(data))


def load_studio(options: SynthOptions) -> Studio:
    """Model and head. Raises as `load_checked`."""
    model = load_checked(options)
    return Studio(options, model, model_head(model, model if options.model is None else load_model()))


def load_checked(options: SynthOptions) -> FaceModel:
    """The model of the options.

    Raises:
        ModelError: no such model, or it has no such expressions.
    """
    model = load_model(options.model)
    try:
        check_expressions(options.expressions, model.expression_names, f"face model {model.name!r}")
    except ValueError as error:
        raise ModelError(str(error)) from None
    return model


def picture_path(data: Path, person: int, photo: int) -> Path:
    """Of a picture and its files, without a suffix."""
    return data / PICTURES / f"{person // _FOLDER:04d}" / sample_name(person, photo)


def make_dataset(
    data: Path,
    options: SynthOptions,
    workers: int = 1,
    shard: int | None = None,
    made: Callable[[int, int], None] = lambda done, count: None,
    load: Callable[[SynthOptions], Studio] = load_studio,
    pools: Callable[[Ready, int], Pool] | None = None,
) -> int:
    """Make what is missing in the folder; the number of pictures that were made.

    Args:
        data: the folder; it may hold what an earlier run with the same options made.
        workers: how many make them; the result is the same. shard: pictures in a tar, or None for no tars.
        made: is told how many pictures there are now, and how many there will be.
        load: makes the studio, once in each worker.
        pools: makes the workers, see facefit.synth.pools; None: this process, or several of this machine.
    Raises:
        ModelError: no such model, or it has no such expressions.
        InputError: the folder was made with other options, or holds something else.
        OutputError: it cannot be written, or another run writes it.
        FaceFitError: a worker died.
    """  # fmt: skip
    load_checked(options)  # before anything is written, and where its error is heard
    _prepare(data, options)
    with _alone(data):
        recover(_area(data))
        every = [(person, photo) for person in range(options.people) for photo in range(options.photos)]
        suffixes = sample_suffixes(options)
        missing = [each for each in every if not _is_there(picture_path(data, *each), suffixes)]
        done = len(every) - len(missing)
        made(done, len(every))
        for _ in _all_made(data, options, missing, workers, load, pools):
            done += 1
            made(done, len(every))
        _finish(data, options, every, shard)
    return len(missing)


def _prepare(data: Path, options: SynthOptions) -> None:
    document = options.document()
    try:
        data.mkdir(parents=True, exist_ok=True)
        known = data / OPTIONS
        if known.exists():
            earlier = parse(read_text(known), str(known))
            wanted = json.loads(json.dumps(document))
            other = sorted(k for k in wanted if not isinstance(earlier, dict) or earlier.get(k) != wanted[k])
            if other:
                raise InputError(f"{data}: was made with another {', '.join(other)}; choose another folder")
        elif any(data.iterdir()):
            raise InputError(f"{data}: is not empty and has no {OPTIONS}; choose another folder")
        else:
            write_together({known: (json.dumps(document, indent=1) + "\n").encode()})
        (data / PICTURES).mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{data}: {error.strerror or error}") from None


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    descriptor = os.open(data / PICTURES, os.O_RDONLY)
    try:
        if not try_lock(descriptor):
            raise OutputError(f"{data}: another run of facefit synth writes it")
        yield
    finally:
        os.close(descriptor)


def _area(data: Path) -> Area:
    return Area(data, data)


def _is_there(path: Path, suffixes: list[str]) -> bool:
    return all(path.with_name(path.name + suffix).is_file() for suffix in suffixes)


def _all_made(
    data: Path, options: SynthOptions, missing: list[tuple[int, int]], workers: int,
    load: Callable[[SynthOptions], Studio], pools: Callable[[Ready, int], Pool] | None,
) -> Iterator[None]:  # fmt: skip
    """Yields after each picture."""
    if not missing:
        return
    away = options  # as a worker with another working folder reads them
    if options.model is not None and Path(options.model).is_file():
        away = replace(options, model=str(Path(options.model).absolute()))
    ready = partial(_ready, data.absolute(), away, load)
    if pools is None and workers == 1:
        make = ready()
        for each in missing:
            make(*each)
            yield
        return
    pool = (pools or ProcessPool)(ready, min(workers, len(missing)))
    try:
        waiting = iter(missing)
        jobs = {pool.submit(each) for each in itertools.islice(waiting, _AHEAD * pool.workers)}
        while jobs:
            done = next(as_completed(jobs))
            jobs.remove(done)
            done.result()
            jobs |= {pool.submit(each) for each in itertools.islice(waiting, 1)}
            yield
    except pool.died:
        raise FaceFitError(
            f"{data}: a worker died (out of memory?); the same command goes on, --workers takes fewer"
        ) from None
    finally:
        pool.close()


def _ready(data: Path, options: SynthOptions, load: Callable[[SynthOptions], Studio]) -> Make:
    return partial(load(options).make, data)


def _finish(data: Path, options: SynthOptions, every: list[tuple[int, int]], shard: int | None) -> None:
    """Sheet, card and shards, of what is there."""
    suffixes = sample_suffixes(options)
    paths = [picture_path(data, *each) for each in every]
    about = parse(read_text(paths[0].with_name(paths[0].name + ".json")), str(paths[0]))
    sheet = contact_sheet(paths, suffixes[0])
    write_together({data / SHEET: sheet, data / CARD: data_card(options, about["model"]).encode()}, _area(data))
    if shard is None:
        return
    (data / SHARDS).mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(paths), shard)):
        write_together({data / SHARDS / f"{number:04d}.tar": _tar(paths[start : start + shard], suffixes)}, _area(data))


def _tar(paths: list[Path], suffixes: list[str]) -> bytes:
    """As WebDataset reads them: the files of a sample one after another, with its name in common."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in paths:
            for suffix in suffixes:
                data = path.with_name(path.name + suffix).read_bytes()
                entry = tarfile.TarInfo(path.name + suffix)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()
