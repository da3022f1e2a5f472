"""Adds up what meson's test runs found: report.py NAME=LOG...

LOG is a run's log without its ending: LOG.junit.xml holds the cases, LOG.json their output. Prints one line per run,
each failed case with what its test printed about it, each skipped case with its reason, and last
`N passed, N failed[, N skipped]`. A case that ran in several builds (debug, sanitizers, valgrind) is counted once: it
failed if it failed anywhere, and passed if it passed somewhere and failed nowhere. Exit 1 when a case failed, when a
run has no result, or when nothing ran.
"""
import json
import os
import sys
import xml.etree.ElementTree

LINES_MAX = 40  # of the output of one failed case


def read(path):
    """Yields (test, case, 'passed' | 'failed' | 'skipped', reason) of one junit file."""
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            test = case.get("classname") or suite.get("name")
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                yield test, case.get("name"), "failed", ""
            elif skipped is not None:
                yield test, case.get("name"), "skipped", skipped.get("message") or (skipped.text or "").strip()
            else:
                yield test, case.get("name"), "passed", ""


def outputs(path):
    """What each test printed: {name of the test: lines}."""
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8", errors="replace") as f:
        runs = [json.loads(line) for line in f]
    return {run["name"]: (run.get("stdout") or "").splitlines() + (run.get("stderr") or "").splitlines()
            for run in runs}


def about(lines, case):
    """The comments around the case's own line: unittest explains before it, cmocka behind it."""
    number = case.split(" ", 1)[0]
    at = next((i for i, line in enumerate(lines) if line.startswith(f"not ok {number} ")), None)
    if at is None:
        return lines[-LINES_MAX:]
    first, last = at, at + 1
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    while last < len(lines) and not lines[last].startswith(("ok ", "not ok ", "1..")):
        last += 1
    return lines[first:last][-LINES_MAX:]


def skip_reason(lines, case):
    """What follows `# SKIP` on the case's own line: the other log leaves it out."""
    number = case.split(" ", 1)[0]
    line = next((line for line in lines if line.startswith(f"ok {number} ")), "")
    return line.partition("# SKIP ")[2]


def output_of(test, case, printed):
    """meson separates by dots in one log and by colons in the other."""
    return printed.get(test.partition(".")[2] or test) or printed.get(case, [])


def explain(label, test, case, printed):
    print(f"FAILED in {label}: {test}: {case}")
    for line in about(output_of(test, case, printed), case):
        print(f"    {line}")


def main():
    seen = {}     # case -> set of verdicts
    reasons = {}  # skipped case -> reason
    broken = False
    for word in sys.argv[1:]:
        label, _, log = word.partition("=")
        if not os.path.exists(f"{log}.junit.xml"):
            print(f"{label}: no result ({log}.junit.xml is missing)")
            broken = True
            continue
        counts = {"passed": 0, "failed": 0, "skipped": 0}
        printed = outputs(f"{log}.json")
        for test, case, verdict, reason in read(f"{log}.junit.xml"):
            counts[verdict] += 1
            seen.setdefault((test, case), set()).add(verdict)
            if verdict == "failed":
                explain(label, test, case, printed)
            if verdict == "skipped":
                reasons[test, case] = reason or skip_reason(output_of(test, case, printed), case) or "no reason given"
        print(f"{label}: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n))
    failed = sum("failed" in verdicts for verdicts in seen.values())
    passed = sum("passed" in verdicts and "failed" not in verdicts for verdicts in seen.values())
    skipped = [name for name, verdicts in seen.items() if verdicts == {"skipped"}]
    for name in skipped:
        print(f"skipped: {': '.join(name)}: {reasons[name]}")
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    sys.exit(1 if failed or broken or not seen else 0)


if __name__ == "__main__":
    main()
