"""What all lints share: the files of the tree, and a report in TAP, one case per rule."""
import os
import sys

C_FOLDERS = ("include", "src", "tests", "bench")
# Inputs of the fuzz targets are bytes, not text.
BINARY_FOLDERS = {"corpus"}
OFFENDERS_SHOWN = 50


def is_ours(folder):
    return not folder.startswith((".", "build", "b-")) and folder not in BINARY_FOLDERS | {"run", "__pycache__"}


def files(root, suffixes, folders=("",)):
    """Paths relative to `root`, sorted, of all files below `folders` that end in one of `suffixes`."""
    found = []
    for folder in folders:
        for where, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = sorted(d for d in dirs if is_ours(d))
            found += [os.path.relpath(os.path.join(where, n), root) for n in names if n.endswith(suffixes)]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", newline="") as f:
        return f.read()


class Report:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def case(self, name, offenders):
        """One rule: fine when nothing offends it."""
        self.count += 1
        for offender in offenders[:OFFENDERS_SHOWN]:
            print(f"# {offender}")
        if len(offenders) > OFFENDERS_SHOWN:
            print(f"# and {len(offenders) - OFFENDERS_SHOWN} more")
        self.failed += bool(offenders)
        print(f"{'not ok' if offenders else 'ok'} {self.count} - {name}", flush=True)

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)
