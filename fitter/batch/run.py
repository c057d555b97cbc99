"""A batch from its plan to its exit code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from ..compute.machine import has_nvidia, usable_cores

GPU_BATCH = 64  # faces: an iteration of so many takes less than twice that of one


def run_tasks(tasks, options, store, stop, workers, batch_size, timeout, ray) -> Iterator:
    """The records of all tasks as they are done, here or elsewhere."""
    if workers == 0 and ray is None:
        from .steps import load_stages

        return _here(tasks, load_stages(options), store, stop)
    from .lead import Lead, Plan
    from .loader import StageLoader
    from .workers import LocalWorkers

    if ray is not None:
        from .ray_workers import RayWorkers, resources

        cores, gpus = resources(ray)
        devices, tries = ["cuda"] * gpus, {"attempts": 3, "start_tries": 10}  # machines of a cluster come and go
    else:
        cores, devices, tries = usable_cores(), _devices(options.job), {}
    batch_size = batch_size or (GPU_BATCH if devices else 1)
    hosts = workers or max(1, cores - len(devices))
    # what works on a CPU next to a device, or alone, has one thread, whatever else it could do
    on_cpu = replace(options.job, device="cpu", renderer="cpu" if devices else options.job.renderer)
    fits = [replace(options.job, device=name) for name in devices] or ([on_cpu] if batch_size > 1 else [])
    plan = Plan(
        hosts=min(hosts, len(tasks)), devices=len(fits), batch=batch_size, timeout=timeout or math.inf, **tries
    )  # fmt: skip
    host = StageLoader(replace(options, job=on_cpu, threads=1))
    device = [StageLoader(replace(options, job=job)) for job in fits]
    team = LocalWorkers() if ray is None else RayWorkers(ray)
    return Lead(plan, team, host, device, store, options.settings, stop).run(tasks)


def _here(tasks, stages, store, stop) -> Iterator:
    """One photo after another in this process."""
    for task in tasks:
        if stop.is_set():
            return
        record = stages.whole(task)
        if not store.workers_remember:
            store.remember(record)
        yield record


def _devices(job) -> list[str]:
    """The GPUs that are to be used, by torch's names."""
    if job.device == "cpu" or (job.device == "auto" and (job.renderer == "cpu" or not has_nvidia())):
        return []
    from ..compute.machine import usable_device

    try:
        device = usable_device(job.device, job.renderer)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if device != "cuda":
        return [device] if device != "cpu" else []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def conclude(store, sheet: str | None, progress) -> None:
    """Write the table and the sheet of all that is known, also after an interrupt."""
    from .manifest import TABLE, have_parquet, table_bytes

    records = list(store.records().values())
    if have_parquet():
        store.write({TABLE: table_bytes(records)})
    else:
        progress.say(f"no {TABLE}: pip install 'facefit[batch]' brings pyarrow")
    if sheet is not None:
        from .sheet import write_sheet

        write_sheet(records, store, Path(sheet))
    store.collect(records)
