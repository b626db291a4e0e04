"""What every row needs: its declaration, a program that is ended with it, and waiting that says what it waited for."""

import os
import re
import signal
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROWS = {}


class Failure(Exception):
    """The peers did not behave as the row says."""


def row(peer, role, seconds=30, name=None):
    """Declares a row of the table. The function prints what happens and returns the versions that were agreed."""

    def declare(function):
        ROWS[name or function.__name__] = (peer, role, seconds, function)
        return function

    return declare


def check(condition, message):
    if not condition:
        raise Failure(message)


def equal(what, found, expected):
    print(f"{what}: {found}")
    check(found == expected, f"{what} is {found}, expected {expected}")


def eventually(what, probe, seconds=10):
    """The first true value of `probe`, asked every 50 ms."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        check(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Program:
    """A started program: its lines are kept and can be waited for; it is ended with the `with` block."""

    def __init__(self, name, *command):
        self.name, self.lines = name, []
        print("$", *command)
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.reader.join(2)

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def find(self, pattern):
        """The match of the first line that holds `pattern`, if one came."""
        return next(filter(None, (re.search(pattern, line) for line in list(self.lines))), None)

    def line(self, pattern, seconds=15):
        """As `find`, but waits for it."""
        what = f"{self.name} prints {pattern!r}"
        eventually(what, lambda: self.find(pattern) or self.process.poll() is not None, seconds)
        if self.process.poll() is not None:
            self.reader.join(2)  # its last words
        found = self.find(pattern)
        check(found, f"{self.name} ended without printing {pattern!r}")
        return found

    def ends(self, seconds=10):
        """The exit status."""
        eventually(f"{self.name} ends", lambda: self.process.poll() is not None, seconds)
        self.reader.join(2)
        return self.process.returncode

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            print(f"[{self.name}] {line}", end="", flush=True)
