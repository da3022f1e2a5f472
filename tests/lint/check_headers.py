"""Each header compiles alone, and twice: usage check_headers.py ROOT BUILD COMPILER...

One case per header. Headers of libraries that are not installed would fail here: none may be included by a
public header.
"""
import os
import re
import subprocess
import sys

import tree

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-unused-parameter", "-fsyntax-only"]


def guard(path):
    """TARN_STORE_INDEX_H for src/store/index.h, TARN_STORE_STORE_H for include/tarn/store/store.h."""
    return "TARN_" + re.sub(r"[^A-Z0-9]", "_", re.sub("^(include/tarn|src)/", "", path).upper())


def compile_alone(root, build, compiler, path):
    folder, name = os.path.split(path)
    own = ["-I" + os.path.join(root, folder)] if path.startswith("src") else []
    source = f'#include "{name if own else os.path.relpath(path, "include")}"\n' * 2 + "typedef int not_empty;\n"
    command = compiler + FLAGS + own + ["-I" + os.path.join(root, "include"), "-I" + build, "-x", "c", "-"]
    done = subprocess.run(command, input=source.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.decode().splitlines() if done.returncode != 0 else []


def main(root, build, compiler):
    report = tree.Report()
    headers = tree.files(root, (".h",), ("include", "src"))
    for path in headers:
        report.case(f"{path} compiles alone", compile_alone(root, build, compiler, path))
    report.case("include guards are named after the path",
                [f"{p}: {guard(p)}" for p in headers if f"#ifndef {guard(p)}\n#define {guard(p)}\n" not in tree.read(root, p)])
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
