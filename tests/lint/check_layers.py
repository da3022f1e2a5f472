"""Include lines keep to the layers: usage check_layers.py ROOT

A layer sees lower layers through include/tarn/<layer>/, its own private headers by bare name, and nothing else.
"""
import os
import re
import sys

import tree

RANKS = {"base": 0, "store": 1, "proto": 1, "types": 2, "source": 3, "persist": 3, "command": 4, "net": 5, "ops": 6,
         "server": 7}
TOP = 8  # src/main.c, tests and bench see everything
GENERATED = {"version.h"}
LOOP_LAYERS = {"source", "net", "ops", "server", "tests", "bench"}
# Library or system header -> the folders that may know of it.
RESTRICTED = [
    (r"ev\.h", LOOP_LAYERS),
    (r"(sys/(socket|un|epoll)|netinet/.*|arpa/.*|netdb|poll)(\.h)?", LOOP_LAYERS),
    (r"(sqlite3|libpq-fe|mysql|mysqld_error|errmsg)\.h", {"source", "tests", "bench"}),
    (r"xxhash\.h", {"base"}),
    (r"lzf\.h", {"types"}),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"]+)"|<([^>]+)>)', re.M)


def owner(path):
    """The layer a file belongs to, or the top-level folder it is in; None for src/main.c."""
    parts = path.split(os.sep)
    if parts[0] == "include" and parts[1] == "tarn" and len(parts) > 3:
        return parts[2]
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else None
    return parts[0]


def upward(path, quoted):
    """Why `path` may not include the public header `quoted`; None when it may."""
    layer = quoted.split("/")[1]
    mine = owner(path)
    if layer not in RANKS:
        return f"{path}: {quoted}: unknown layer {layer}"
    if mine == layer or RANKS[layer] < RANKS.get(mine, TOP):
        return None
    return f"{path}: {quoted}: {layer} does not lie below {mine}"


def private_faults(path, quoted, root):
    beside = os.path.normpath(os.path.join(os.path.dirname(path), quoted))
    if quoted in GENERATED:
        return None
    if owner(path) in ("tests", "bench"):
        # A test may look into the layer it tests, by the path from the top, and shares what tests have.
        fine = quoted.startswith(("src/", "tests/")) or not beside.startswith(("src", "include", ".."))
    else:
        fine = "/" not in quoted and os.path.exists(os.path.join(root, beside))
    return None if fine else f"{path}: {quoted}: private header of another folder"


def restricted_faults(path, library):
    return [f"{path}: <{library}>: not for {owner(path)}" for pattern, allowed in RESTRICTED
            if re.fullmatch(pattern, library) and owner(path) not in allowed]


def own_header_faults(path, first, root):
    """A source file starts with its own header, which proves that the header stands alone."""
    stem = os.path.splitext(os.path.basename(path))[0]
    public = f"tarn/{owner(path)}/{stem}.h"
    own = [h for h in (stem + ".h", public)
           if os.path.exists(os.path.join(root, "include" if "/" in h else os.path.dirname(path), h))]
    return [f"{path}: first include should be {own[0]}"] if own and first not in own else []


def main(root):
    report = tree.Report()
    upwards, privates, restricted, firsts, used = [], [], [], [], {}
    unknown = []
    for path in tree.files(root, (".c", ".h", ".def"), tree.C_FOLDERS):
        includes = INCLUDE.findall(tree.read(root, path))
        mine = owner(path)
        if path.startswith(("src", "include")) and mine is not None and mine not in RANKS:
            unknown.append(f"{path}: {mine} is no layer")
        for quoted, library in includes:
            if quoted.startswith("tarn/"):
                upwards.append(upward(path, quoted))
                # A public header that another one needs for its structures is as public as that one.
                used.setdefault(quoted, set()).add("a header" if path.startswith("include") else mine)
            elif quoted:
                privates.append(private_faults(path, quoted, root))
            else:
                restricted += restricted_faults(path, library)
        if path.startswith("src" + os.sep) and path.endswith(".c") and includes:
            firsts += own_header_faults(path, includes[0][0], root)
    public = tree.files(root, (".h",), (os.path.join("include", "tarn"),))
    unused = [p for p in public if not used.get(os.path.relpath(p, "include"), set()) - {owner(p)}]
    report.case("every folder is a layer", unknown)
    report.case("includes point to lower layers", [f for f in upwards if f])
    report.case("private headers stay in their folder", [f for f in privates if f])
    report.case("libraries and sockets are known only where they belong", restricted)
    report.case("a source file includes its own header first", firsts)
    report.case("every public header is used by another layer or a test", unused)
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1])
