"""A batch from its plan to the last record. Light to import: torch is for the workers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..compute.machine import has_nvidia, usable_cores, usable_device
from ..job.options import JobOptions
from ..vocabulary import GPU_BATCH
from .lead import Lead, Plan, halted
from .loader import StageLoader
from .manifest import TABLE, Record, have_parquet, table_bytes
from .options import BatchOptions, Halt
from .plan import Task
from .ray_workers import RayWorkers, resources
from .sheet import write_sheet
from .store import Store
from .workers import LocalWorkers


@dataclass(frozen=True)
class Spread:
    """How the work is spread, as the user wants it.

    Attributes:
        workers: processes; 0 works in this one; None: as many as cores.
        batch_size: faces that are fitted together; None: GPU_BATCH on a GPU, 1 on a CPU.
        timeout: seconds of a step of a photo; None for no limit.
        ray: address of a Ray cluster, see `facefit.batch.ray_workers.connect`; None: this machine.
    """

    workers: int | None = None
    batch_size: int | None = None
    timeout: float | None = None
    ray: str | None = None


def run_tasks(
    tasks: Sequence[Task], options: BatchOptions, store: Store, stop: threading.Event, spread: Spread
) -> Iterator[Record]:
    """The records of all tasks as they are done, here or elsewhere.

    Raises:
        ValueError: an option's value is not accepted, or there is no such device. RayError: no cluster. OutputError:
        results cannot be kept; photos without a record are done by the next run.
    """
    if spread.workers == 0 and spread.ray is None:
        return _here(tasks, StageLoader(options)(), store, stop)
    if spread.ray is not None:
        cores, gpus = resources(spread.ray)
        devices, tries = ["cuda"] * gpus, {"attempts": 3, "start_tries": 10}  # machines of a cluster come and go
    else:
        cores, devices, tries = usable_cores(), _devices(options.job), {}
    if options.people is not None:  # whole people: on each GPU, or on the cores
        return _people(tasks, options, store, stop, spread, cores, devices, tries)
    batch_size = spread.batch_size or (GPU_BATCH if devices else 1)
    hosts = spread.workers or max(1, cores - len(devices))
    # what works on a CPU next to a device, or alone, has one thread, whatever else it could do
    on_cpu = replace(options.job, device="cpu", renderer="cpu" if devices else options.job.renderer)
    fits = [replace(options.job, device=name) for name in devices] or ([on_cpu] if batch_size > 1 else [])
    plan = Plan(
        hosts=min(hosts, len(tasks)), devices=len(fits), batch=batch_size, timeout=spread.timeout or math.inf, **tries
    )
    host = StageLoader(replace(options, job=on_cpu, threads=1))
    device = [StageLoader(replace(options, job=job)) for job in fits]
    team = LocalWorkers() if spread.ray is None else RayWorkers(spread.ray)
    return Lead(plan, team, host, device, store, options.settings, stop).run(tasks)


def _people(
    tasks: Sequence[Task], options: BatchOptions, store: Store, stop: threading.Event, spread: Spread, cores: int,
    devices: Sequence[str], tries: Mapping[str, int],
) -> Iterator[Record]:  # fmt: skip
    """A worker does all of a person. On GPUs there is one for each, unless more are asked for."""
    if devices:
        hosts = [StageLoader(replace(options, job=replace(options.job, device=name))) for name in devices]
    else:
        hosts = [StageLoader(replace(options, job=replace(options.job, device="cpu"), threads=1))]
    count = spread.workers or len(devices) or cores
    plan = Plan(hosts=min(count, len(tasks)), timeout=spread.timeout or math.inf, **tries)
    team = LocalWorkers() if spread.ray is None else RayWorkers(spread.ray)
    return Lead(plan, team, hosts, (), store, options.settings, stop).run(tasks)


def conclude(store: Store, sheet: Path | None) -> bool:
    """Write the table and the sheet of all that is known, also after an interrupt; False where pyarrow, which writes
    the table, is not installed."""
    known = list(store.records().values())
    table = have_parquet()
    if table:
        store.write({TABLE: table_bytes(known)})
    if sheet is not None:
        write_sheet(known, store, sheet)
    store.collect(known)
    return table


def _here(tasks: Sequence[Task], call: Callable, store: Store, stop: threading.Event) -> Iterator[Record]:
    """One photo after another in this process."""
    for task in tasks:
        if stop.is_set():
            return
        record = call("whole", task)
        if isinstance(record, Halt):
            raise halted(record)
        if not store.workers_remember:
            store.remember(record)
        yield record


def _devices(job: JobOptions) -> list[str]:
    """The GPUs that are to be used, by torch's names. Raises ValueError for a device that is not there."""
    if job.device == "cpu" or (job.device == "auto" and (job.renderer == "cpu" or not has_nvidia())):
        return []
    device = usable_device(job.device, job.renderer)
    if device != "cuda":
        return [device] if device != "cpu" else []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
