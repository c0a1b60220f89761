"""A headless Chromium over its DevTools protocol: open, read, type, click, take a screenshot. No driver program is needed."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN_S = 40.0


def find_chromium() -> str | None:
    """The path of a Chromium; None on a machine without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of one browser, which ends with the `with` block."""

    def __init__(self, program: str, folder: Path, width_px: int = 1360, height_px: int = 1000) -> None:
        self._arguments = [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            f"--window-size={width_px},{height_px}",
            "about:blank",
        ]
        self._number = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        output = ""
        for line in self._process.stderr:
            output += line
            if found := re.search(r"ws://\S+", line):
                break
        else:
            raise AssertionError(f"chromium did not start: {output[-2000:]}")
        self._open = ExitStack()
        self._socket: ClientConnection = self._open.enter_context(connect(found[0], max_size=None, proxy=None))
        target = self._call("Target.getTargets")["targetInfos"][0]["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A call to the page."""
        return self._call(method, session=self._session, **params)

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Go there, and wait until it has loaded."""
        self.send("Page.navigate", url=url)
        self.wait("the page", lambda: self.evaluate("document.readyState") == "complete")

    def evaluate(self, script: str) -> Any:
        """The value of a script in the page; None while the page is between two documents."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def text(self) -> str:
        """The words on the page."""
        return str(self.evaluate("document.body ? document.body.innerText : ''") or "")

    def wait(self, what: str, holds: Callable[[], object], within_s: float = WITHIN_S) -> None:
        """Wait until it holds."""
        deadline_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}; the page says {self.text()[:2000]!r}"
            time.sleep(0.2)

    def see(self, words: str, within_s: float = WITHIN_S) -> None:
        """Wait until the page holds these words."""
        self.wait(repr(words), lambda: words in self.text(), within_s)

    def type_into(self, selector: str, words: str) -> None:
        """Type as a person does: a framework that keeps its own state sees it too."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        self.send("Input.insertText", text=words)

    def click(self, selector: str) -> None:
        """Click the middle of an element, which is brought into view first."""
        script = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}}); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        x, y = self.evaluate(script)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """A PNG of what is in view, or of the whole page."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
        return path
