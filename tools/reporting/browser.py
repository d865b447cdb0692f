"""Chromium, driven through its DevTools protocol over two pipes: no further package is needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class BrowserError(RuntimeError):
    """The browser is missing, ended, or did not answer."""


def find_chromium():
    """The path of the browser.

    Raises BrowserError naming what was looked for.
    """
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise BrowserError("no browser: looked for chromium, chromium-browser and google-chrome; apt-get install chromium")


class Browser:
    """A headless browser with one page. Use it as a context manager."""

    def __init__(self, executable=None):
        self.profile = tempfile.mkdtemp(prefix="etalon-browser-")
        commands_out, self._commands = os.pipe()
        self._replies, replies_in = os.pipe()

        def fixed_descriptors():  # Chromium reads commands from 3 and writes replies to 4
            read, write = os.dup(commands_out), os.dup(replies_in)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self._process = subprocess.Popen(
            [executable or find_chromium(), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=fixed_descriptors)
        os.close(commands_out)
        os.close(replies_in)
        self._buffer = b""
        self._number = 0
        self._events = []
        try:
            self._attach()
        except BrowserError:
            self._end()
            raise

    def _attach(self):
        target = self._call("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True},
                                   session=None)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._call("Browser.close", session=None, timeout=10)
            self._process.wait(timeout=10)
        except (BrowserError, subprocess.TimeoutExpired):
            pass
        self._end()

    def _end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._commands)
        os.close(self._replies)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._replies], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise BrowserError("the browser did not answer in time")
            part = os.read(self._replies, 1 << 20)
            if not part:
                raise BrowserError(f"the browser ended, exit status {self._process.poll()}")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _call(self, method, parameters=None, session="page", timeout=240):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        try:
            while rest:
                rest = rest[os.write(self._commands, rest):]
        except BrokenPipeError as error:
            raise BrowserError(f"the browser ended, exit status {self._process.poll()}") from error
        deadline = time.monotonic() + timeout
        while True:
            reply = self._receive(deadline)
            if reply.get("id") != self._number:
                self._events.append(reply)
            elif "error" in reply:
                raise BrowserError(f"{method}: {reply['error'].get('message')}")
            else:
                return reply["result"]

    def open(self, url, width, height=900, dark=False, timeout=240):
        """Loads a page as a screen of the given size shows it, and waits until it is loaded."""
        self._call("Page.navigate", {"url": "about:blank"})  # what the page before still says is not this one's
        self.evaluate("0")
        self._events.clear()
        self._call("Emulation.setDeviceMetricsOverride",
                   {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"features": [scheme]})
        result = self._call("Page.navigate", {"url": url}, timeout=timeout)
        if result.get("errorText"):
            raise BrowserError(f"{url}: {result['errorText']}")
        deadline = time.monotonic() + timeout
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._receive(deadline))

    def evaluate(self, expression, timeout=240):
        """The value of a JavaScript expression in the page; a promise is awaited."""
        result = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True,
                                                 "awaitPromise": True}, timeout=timeout)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details.get("text"))
        return result["result"].get("value")

    def complaints(self):
        """Errors and warnings of the page since it was opened: its console, exceptions, files that are missing."""
        found = []
        for event in self._events:
            what, about = event.get("method"), event.get("params", {})
            if what == "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details.get("text", "exception"))
            elif what == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
                found.append(" ".join(str(one.get("value", one.get("description"))) for one in about["args"]))
            elif what == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
                found.append(f"{about['entry']['text']} {about['entry'].get('url', '')}".strip())
            elif what == "Network.loadingFailed":
                found.append(f"not loaded: {about.get('errorText')}")
        return found

    def screenshot(self, path, full=True):
        """Writes a PNG of the whole page, or of the part that the screen shows."""
        parameters = {"format": "png", "captureBeyondViewport": full}
        if full:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        image = self._call("Page.captureScreenshot", parameters)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(image))
