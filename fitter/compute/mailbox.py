"""News between the host and the device, without either waiting for the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

LAG = 4  # letters under way before the host waits for the oldest: the device still has as many iterations to do


class Mailbox:
    """Small tensors on their way to the host, in order.

    On the CPU a letter arrives at once. On a CUDA device it is copied into pinned memory beside the work that goes on,
    and arrives some iterations later; the host waits only for a letter that is more than `LAG` behind, so that the
    queue of the device never runs dry.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._cuda = torch.device(device).type == "cuda"
        self._under_way: deque[tuple[Any, Tensor, Any]] = deque()

    def post(self, label: Any, news: Tensor) -> None:
        """Send `news`, of any shape, on the mailbox's device; `label` comes with it."""
        if not self._cuda:
            self._under_way.append((label, news, None))
            return
        host = torch.empty(news.shape, dtype=news.dtype, pin_memory=True)
        host.copy_(news, non_blocking=True)
        landed = torch.cuda.Event()
        landed.record()
        self._under_way.append((label, host, landed))

    def arrived(self, wait: bool = False) -> Iterator[tuple[Any, Tensor]]:
        """(label, news on the host) of what has come, oldest first; with `wait` everything that was sent."""
        while self._under_way:
            label, news, landed = self._under_way[0]
            if landed is not None and not landed.query():
                if not wait and len(self._under_way) <= LAG:
                    return
                landed.synchronize()
            self._under_way.popleft()
            yield label, news


def device_index(places: Sequence[int], device: torch.device) -> Tensor:
    """(N,) int64 places as an index tensor on the device, without waiting for it."""
    index = torch.tensor(list(places), dtype=torch.long)
    return index.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else index.to(device)
