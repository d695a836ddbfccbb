"""A real headless browser, driven through its DevTools protocol: pages, clicks, keys, what was requested. Knows no page of ours."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 20.0
KEYS = {"Enter": 13, "ArrowUp": 38, "ArrowDown": 40, "Escape": 27}


class Page:
    """One tab, with a storage of its own."""

    def __init__(self, socket: ClientConnection, session: str, events: list[dict[str, Any]]) -> None:
        self.socket, self.session, self.events = socket, session, events
        for domain in ("Page", "Network", "Runtime"):
            self.send(f"{domain}.enable")

    def send(self, method: str, *, patience: float = PATIENCE, **given: Any) -> dict[str, Any]:
        Page.last = getattr(Page, "last", 0) + 1
        number = Page.last
        message: dict[str, Any] = {"id": number, "method": method, "params": given}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=patience))
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def open(self, url: str) -> None:
        self.send("Page.navigate", url=url)

    def run(self, script: str, *, patience: float = PATIENCE) -> Any:
        told = self.send("Runtime.evaluate", patience=patience, expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, script: str) -> Any:
        """Until the expression is true; asked again where the browser forgets to answer, as it may while a page changes."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError, TimeoutError):
                value = self.run(f"(() => {{ try {{ return {script}; }} catch {{ return null; }} }})()", patience=3.0)
                if value:
                    return value
            time.sleep(0.01)
        raise AssertionError(f"never came true: {script}; the page says: {self.run('document.body.innerText')}")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of what is there."""
        x, y = self.wait(
            f"(() => {{ const e = document.querySelector({selector!r}); if (!e || e.disabled || !e.offsetParent) return null;"
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = KEYS.get(key, ord(key.upper()[0]))
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type(self, selector: str, text: str) -> None:
        self.run(f"document.querySelector({selector!r}).focus()")
        self.send("Input.insertText", text=text)

    def screen(self, width: int, height: int, *, phone: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def requests(self) -> list[str]:
        """The addresses that this tab asked for."""
        asked = [one for one in self.events if one.get("method") == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in asked if one["sessionId"] == self.session]

    def close(self) -> None:
        target = self.send("Target.getTargetInfo")["targetInfo"]["targetId"]
        session, self.session = self.session, ""
        self.send("Target.closeTarget", targetId=target)
        self.session = session


class Browser:
    """A browser; `page` opens a tab in a profile of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self.root = Page.__new__(Page)
        self.root.socket, self.root.session, self.root.events = socket, "", []

    def page(self, url: str) -> Page:
        context = self.root.send("Target.createBrowserContext")["browserContextId"]
        target = self.root.send("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.root.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self.root.socket, session, self.root.events)
        page.open(url)
        return page


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Starts the browser of this computer; skips where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is here to test with (looked for {', '.join(NAMES)})")
    given = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage")
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio")
    process = subprocess.Popen(
        [program, *given, *quiet, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = folder / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while not (told.is_file() and len(told.read_text().split()) == 2):
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < end, "the browser did not come up"
            time.sleep(0.02)
        port, path = told.read_text().split()
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
