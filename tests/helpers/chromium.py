"""A page in headless Chromium, driven over its debugging pipe: no network, no driver, no library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SWITCHES = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu-sandbox", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio",
)  # fmt: skip

# the debugging pipe is descriptor 3 (read) and 4 (written) of the browser
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


def chromium() -> str | None:
    """Where the browser is, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page of a running browser.

    Attributes:
        problems: what the console and the page complained of. requests: addresses that it asked for.
    """

    def __init__(self, read: int, write: int, timeout: float = 90.0) -> None:
        self._read, self._write, self._timeout = read, write, timeout
        self._number, self._buffer, self._session = 0, b"", None
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters) -> dict:
        """A command of the DevTools protocol; its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self) -> dict:
        ends = time.monotonic() + self._timeout
        with selectors.DefaultSelector() as ready:
            ready.register(self._read, selectors.EVENT_READ)
            while b"\0" not in self._buffer:
                if not ready.select(max(0.0, ends - time.monotonic())):
                    raise TimeoutError("the browser says nothing")
                data = os.read(self._read, 1 << 20)
                if not data:
                    raise RuntimeError("the browser has ended")
                self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        answer = json.loads(text)
        self._noted(answer.get("method"), answer.get("params", {}))
        return answer

    def _noted(self, method: str | None, event: dict) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.problems.append(event["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(each.get("value", each)) for each in event["args"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"][:200])

    def open(self, path: Path, width: int = 1000, height: int = 700, dark: bool = False) -> None:
        """Show a file, and wait until it says that it is ready (`data-ready` of its body)."""
        self.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.body && document.body.dataset.ready === 'true'")

    def size(self, width: int, height: int) -> None:
        """Of the window in pixels; a phone's is narrow and touched."""
        phone = width < 600
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def run(self, script: str):
        """The value of an expression, a promise's when it is kept."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        ends = time.monotonic() + self._timeout
        while not self.run(condition):
            if time.monotonic() > ends:
                raise TimeoutError(f"{condition}: not within {self._timeout} s; {self.problems}")
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """The element of that selector."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def picture(self) -> bytes:
        """PNG of what is seen, after the next frame."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        return base64.b64decode(self.send("Page.captureScreenshot", format="png", optimizeForSpeed=True)["data"])


@contextlib.contextmanager
def opened(*switches: str) -> Iterator[Page]:
    """An empty page of a browser that ends with the block."""
    program = chromium()
    assert program is not None
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        launch = [sys.executable, "-c", _LAUNCH, str(to_browser[0]), str(from_browser[1]), program]
        process = subprocess.Popen(
            [*launch, *SWITCHES, *switches, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(to_browser[0], from_browser[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser[0])
        os.close(from_browser[1])
        try:
            yield Page(from_browser[0], to_browser[1])
        finally:
            os.close(to_browser[1])
            os.close(from_browser[0])
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)  # its own children may still write
            os.makedirs(folder, exist_ok=True)
