"""No mutable state at file scope: usage check_globals.py OBJDUMP LIBRARY...

Reads the symbol tables of the static libraries. Constants that the loader relocates (.data.rel.ro) are fine.
"""
import re
import subprocess
import sys

import tree

# The log is the one permitted state of the whole process.
EXEMPT_OBJECT = "base_log.c.o"
SYMBOL = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$")
MUTABLE = re.compile(r"\*COM\*|\.(data|bss|tdata|tbss)(\.(?!rel\.ro).*)?")


def mutable_symbols(objdump, library):
    """Pairs (object file, symbol)."""
    out = subprocess.run([objdump, "-t", library], stdout=subprocess.PIPE, check=True).stdout.decode()
    found = []
    member = ""
    for line in out.splitlines():
        if line.endswith(("file format elf64-x86-64", "file format elf64-littleaarch64")):
            member = line.split(":")[0].split("/")[-1]
        match = SYMBOL.match(line)
        if match and "d" not in match.group(1) and MUTABLE.fullmatch(match.group(2)):
            found.append((member, match.group(3)))
    return found


def main(objdump, libraries):
    report = tree.Report()
    symbols = [s for library in libraries for s in mutable_symbols(objdump, library)]
    exempt = [s for s in symbols if s[0] == EXEMPT_OBJECT]
    # Shows that the objects can be read at all (link-time optimisation would hide every symbol).
    report.case("the state of the log is seen", [] if exempt else ["no state found in " + EXEMPT_OBJECT])
    report.case("nothing else has mutable state at file scope",
                [f"{member}: {name}" for member, name in symbols if member != EXEMPT_OBJECT])
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
