"""Chooses tests of the profile, and counts what became of them."""

import json
import pathlib
import sys
from fnmatch import fnmatchcase


def selected(profile, patterns):
    names = [line for line in pathlib.Path(profile).read_text().split("\n") if line]
    return [name for name in names if not patterns or any(fnmatchcase(name, p) for p in patterns)]


def verdicts(log):
    """The last word on each test, and what was said with it."""
    verdict, said, name = {}, {}, None
    for line in pathlib.Path(log).read_text(errors="replace").split("\n"):
        word, _, rest = line.partition(" (")
        if word in ("PASSED", "FAILED", "UNIMPLEMENTED") and rest.endswith(")"):
            name = rest[:-1]
            verdict[name], said[name] = word, []
        elif name:
            said[name].append(line)
    return verdict, said


def count(profile, config, log, patterns):
    names = selected(profile, patterns)
    disabled = json.loads(pathlib.Path(config).read_text())["DisabledTests"]
    verdict, said = verdicts(log)
    groups = {"PASSED": [], "FAILED": [], "UNIMPLEMENTED": [], "DISABLED": [], "NOT RUN": []}
    for name in names:
        if any(fnmatchcase(name, pattern) for pattern in disabled):
            groups["DISABLED"].append(name)
        else:
            groups[verdict.get(name, "NOT RUN")].append(name)
    for name in groups["FAILED"]:
        print(f"FAILED {name}")
        print("\n".join("    " + line for line in said[name] if line.strip()))
    for word in ("UNIMPLEMENTED", "NOT RUN"):
        for name in groups[word]:
            print(f"{word} {name}")
    print(", ".join(f"{len(group)} {word.lower()}" for word, group in groups.items()), f"of {len(names)}")
    return 1 if groups["FAILED"] or groups["NOT RUN"] else 0


def main():
    command, *arguments = sys.argv[1:]
    if command == "select":
        print(";".join(selected(arguments[0], arguments[1:])))
        return 0
    profile, config, log, *patterns = arguments
    return count(profile, config, log, patterns)


if __name__ == "__main__":
    sys.exit(main())
