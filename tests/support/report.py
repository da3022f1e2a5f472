"""Adds up what meson's test runs found: report.py NAME=testlog.junit.xml...

Prints one line per run, each failed and each skipped case, and last `N passed, N failed[, N skipped]`. A case that
ran in several builds (debug, sanitizers, valgrind) is counted once: it failed if it failed anywhere, and passed if
it passed somewhere and failed nowhere. Exit 1 when a case failed, when a run has no result, or when nothing ran.
"""
import os
import sys
import xml.etree.ElementTree


def read(path):
    """Yields (case name, 'passed' | 'failed' | 'skipped', reason) of one junit file."""
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f"{case.get('classname') or suite.get('name')}: {case.get('name')}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                yield name, "failed", ""
            elif skipped is not None:
                yield name, "skipped", skipped.get("message") or (skipped.text or "").strip()
            else:
                yield name, "passed", ""


def main():
    seen = {}     # case -> set of verdicts
    reasons = {}  # skipped case -> reason
    broken = False
    for word in sys.argv[1:]:
        label, _, path = word.partition("=")
        if not os.path.exists(path):
            print(f"{label}: no result ({path} is missing)")
            broken = True
            continue
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        for name, verdict, reason in read(path):
            counts[verdict] += 1
            seen.setdefault(name, set()).add(verdict)
            if verdict == "failed":
                print(f"FAILED in {label}: {name}")
            if verdict == "skipped":
                reasons[name] = reason or "no reason given"
        print(f"{label}: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n))
    failed = sum("failed" in verdicts for verdicts in seen.values())
    passed = sum("passed" in verdicts and "failed" not in verdicts for verdicts in seen.values())
    skipped = [name for name, verdicts in seen.items() if verdicts == {"skipped"}]
    for name in skipped:
        print(f"skipped: {name}: {reasons[name]}")
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    sys.exit(1 if failed or broken or not seen else 0)


if __name__ == "__main__":
    main()
