"""BoringSSL and floe in one process, in virtual time: each story of `interop/boring` is a row."""

import os
import pathlib
import subprocess
import tomllib

from case import TOP, Program, equal, row

STORIES = os.environ["BORINGSSL_STORIES"]  # the test binary that `interop/run` built


def version():
    lock = tomllib.loads(pathlib.Path(TOP, "interop/boring/Cargo.lock").read_text())
    return next(package["version"] for package in lock["package"] if package["name"] == "boring")


def names():
    listed = subprocess.run([STORIES, "--list"], check=True, capture_output=True, text=True).stdout
    return [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]


def declare(name):
    def story():
        with Program("boring", STORIES, "--exact", name, "--nocapture") as tests:
            equal("exit status", tests.ends(60), 0)
            tests.line("1 passed")
            cases = sum(line.startswith("floe as") for line in tests.lines)
            return f"crate boring {version()}, {cases} handshakes"

    story.__name__ = f"boringssl_{name}"
    row("BoringSSL", name.replace("dtls_1_", "DTLS 1.").replace("_", " "), seconds=70)(story)


for name in names():
    declare(name)
