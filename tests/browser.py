"""A headless Chromium that tests drive, over a pipe and without any further library."""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


class Page:
    """A page in the browser.

    Attributes:
        problems: errors of its programs and of its policy, as they came.
        requests: addresses that it asked for.
    """

    def __init__(self, to_browser, from_browser) -> None:
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._session: dict[str, str] = {}
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given):
        """Call a method of the protocol, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": given} | self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        while (answer := self._read()).get("id") != number:
            self._note(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file and wait until it is loaded and has drawn its pictures."""
        address = path.resolve().as_uri() + (f"#{fragment}" if fragment else "")
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, expression: str):
        """The value of an expression, promises awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        waiting = f"""new Promise((met, failed) => {{
            const end = Date.now() + 60000;
            const look = () => {{
                if ({expression}) met(true);
                else if (Date.now() > end) failed("waited in vain");
                else setTimeout(look, 20);
            }};
            look();
        }})"""
        assert self.run(waiting)

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Give the window a size, and the page a light or a dark surrounding."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self) -> bytes:
        """A PNG of what is seen."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def _read(self):
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        return json.loads(message)

    def _note(self, event) -> None:
        given = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(given["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.problems.append(given["entry"]["text"])
        elif event["method"] == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])


@contextlib.contextmanager
def browser():
    """A page of a fresh browser, which ends with the block."""
    command, program = shutil.which("chromium"), 'exec "$0" "$@" 3<&{} 4>&{}'
    profile = Path(tempfile.mkdtemp(prefix="browser"))
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()
    # The browser reads from descriptor 3 and writes to 4.
    redirected = program.format(read_end, write_end)
    process = subprocess.Popen(
        ["bash", "-c", redirected, command, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(read_end, write_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_end)
    os.close(write_end)
    with os.fdopen(to_browser, "wb") as sender, os.fdopen(from_browser, "rb") as receiver:
        try:
            yield Page(sender, receiver)
        finally:
            process.terminate()
            process.wait(30)
            shutil.rmtree(profile, ignore_errors=True)
