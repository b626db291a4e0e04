"""Runs the rows, each in a process of its own that is bounded in time, and prints one table.

usage: rows.py [PART-OF-A-ROW'S-NAME ...]        (through `interop/run`, inside the namespace)
"""

import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import time
import traceback

import boring  # declares its rows when imported, as do the next
import calls
import chromium
import gnutls
import node
import openssl
import scenarios
from case import ROWS, TOP, Failure

LOGS = pathlib.Path(TOP, "interop/.cache/logs")
AT_ONCE = 6  # rows spend their time waiting for timers of 5 to 30 s
ALONE = 3  # so many rows at most that failed among others are run once more


def run_here(name):
    """The child: exit status 0 and a last line with the versions, or what failed and status 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the row ran out of time"))
    try:
        print(f"versions: {ROWS[name][3]()}", flush=True)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    except Exception:
        traceback.print_exc()
        sys.exit(1)


def run_row(name):
    log, started = LOGS / f"{name}.log", time.monotonic()
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", __file__, "--row", name], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        status = process.wait(ROWS[name][2])
    except subprocess.TimeoutExpired:
        process.terminate()
        status = process.wait(10) or 1
    seconds = time.monotonic() - started
    lines = log.read_text(errors="replace").splitlines() or [""]
    versions = lines[-1].removeprefix("versions: ") if status == 0 else ""
    print(f"{'ok' if status == 0 else 'FAILED':6} {name} ({seconds:.1f} s)", flush=True)
    return (name, versions, status == 0, seconds)


def run_alone(name):
    """Once more, with the machine to itself. The log of the first time stays beside the second's."""
    (LOGS / f"{name}.log").rename(LOGS / f"{name}.among-others.log")
    return run_row(name)


def table(results, alone):
    header = ("peer", "role", "versions", "result", "time")
    cells = [header] + [
        (*ROWS[name][:2], versions, ("ok" if ok else "FAILED") + (", alone" if name in alone else ""), f"{seconds:.1f} s")
        for name, versions, ok, seconds in results
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def tell_failures(names, results):
    for name in names:
        if not results[name][2]:
            print(f"\n--- {name}: the last lines of {LOGS / name}.log")
            print("\n".join((LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-60:]))


def main(parts):
    LOGS.mkdir(parents=True, exist_ok=True)
    names = [name for name in ROWS if not parts or any(part in name for part in parts)]
    # The longest first, so that none of them is left alone at the end.
    order = sorted(names, key=lambda name: -ROWS[name][2])
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = dict(zip(order, pool.map(run_row, order)))
    tell_failures(names, results)
    # Six browsers on two cores make each other late by seconds. What is wrong with floe is wrong without them as well.
    alone = [name for name in names if not results[name][2]]
    if 0 < len(alone) <= ALONE < len(names):
        results |= {name: run_alone(name) for name in alone}
        tell_failures(alone, results)
    else:
        alone = []
    print()
    table([results[name] for name in names], alone)
    failed = sum(not results[name][2] for name in names)
    print(f"\n{len(names) - failed} of {len(names)} rows hold")
    sys.exit(1 if failed or not names else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        run_here(sys.argv[2])
    else:
        main(sys.argv[1:])
