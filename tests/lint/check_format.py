"""The layout is the one .clang-format describes: usage check_format.py ROOT

Needs clang-format. Which version is said first, because versions differ in details; 14 decides.
"""
import os
import re
import shutil
import subprocess
import sys

import tree

PLACE = re.compile(r"([^:\s]+):(\d+):\d+: error:")


def complaints(program, root, paths):
    """One line per file, with the first place in it."""
    command = [program, "--dry-run", "-Werror", "--style=file"] + paths
    done = subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    text = done.stderr.decode().splitlines()
    first = {}
    for line in text:
        place = PLACE.match(line)
        if place:
            path, number = place.groups()
            first.setdefault(path, f"{path}:{number}: clang-format would lay this out otherwise")
    if done.returncode != 0 and not first:
        return text or [f"clang-format ended with {done.returncode}"]
    return list(first.values())


def main(root):
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    if program is None:
        print("1..0 # SKIP clang-format is not installed")
        return
    print("# " + subprocess.run([program, "--version"], stdout=subprocess.PIPE).stdout.decode().strip())
    report = tree.Report()
    for folder in tree.C_FOLDERS:
        if os.path.isdir(os.path.join(root, folder)):
            paths = tree.files(root, (".c", ".h"), (folder,))
            report.case(f"{folder} is laid out by clang-format", complaints(program, root, paths) if paths else [])
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1])
