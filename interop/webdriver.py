"""A headless Chromium driven over plain WebDriver (https://www.w3.org/TR/webdriver2/): HTTP and JSON, nothing else.

The microphone is a fake one whose permission is granted, without which a page learns no local address and gathers no
candidate; loopback candidates are switched on. The browser is the real one otherwise.
"""

import contextlib
import json
import os
import pathlib
import signal
import tempfile
import urllib.error
import urllib.request

from case import TOP, Failure, Program

BROWSER = "/usr/lib/chromium/chromium-headless-shell"  # not the wrapper in /usr/bin, which outlives a killed driver
DRIVER = os.path.join(TOP, "interop/.cache/driver/usr/bin/chromedriver")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage",
]


class Browser:
    """One browser and the chromedriver that speaks to it, ended together when the `with` block ends."""

    def __init__(self, *flags):
        self.profile = tempfile.TemporaryDirectory(prefix="floe-interop-")
        self.programs = contextlib.ExitStack()
        try:
            made = self._connect(flags)
        except BaseException:
            self.close()
            raise
        self.version = made["capabilities"]["browserVersion"]
        self.base += f"/session/{made['sessionId']}"
        self._call("POST", "/timeouts", {"script": 30_000, "pageLoad": 15_000})
        grant = {"cmd": "Browser.grantPermissions", "params": {"permissions": ["audioCapture"]}}
        self._call("POST", "/goog/cdp/execute", grant)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a JavaScript function body; a promise is awaited, an exception is raised here."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def kill_tab(self):
        """Ends the page's process at once: no unload handler, no close_notify, no last datagram."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = os.getpgid(int(process.name)) == self.shell.process.pid
                if ours and b"--type=renderer" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    def _connect(self, flags):
        # A headless shell that its driver starts opens no page; one that is started with a page keeps it.
        self.shell = self.programs.enter_context(Program(
            "chromium", BROWSER, *FLAGS, *flags, "--remote-debugging-port=0", f"--user-data-dir={self.profile.name}",
            "about:blank",
        ))
        address = self.shell.line(r"DevTools listening on ws://([\d.:]+)")[1]
        self.base = f"http://127.0.0.1:{self._driver_port()}"
        options = {"goog:chromeOptions": {"debuggerAddress": address}}
        return self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})

    def _driver_port(self):
        """Starts the driver. It finds a free port for IPv6 and then wants the same one for IPv4, where another row may
        have it: then it ends, and is started again."""
        for left in reversed(range(8)):
            driver = self.programs.enter_context(Program("driver", DRIVER, "--port=0"))
            try:
                return driver.line(r"started successfully on port (\d+)")[1]
            except Failure:
                if not left or not driver.find("Address already in use"):
                    raise

    def close(self):
        self.programs.close()
        self.profile.cleanup()

    def _call(self, method, path, body):
        request = urllib.request.Request(
            self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=40) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise RuntimeError(f"{value['error']}: {value['message'].splitlines()[0]}") from None
