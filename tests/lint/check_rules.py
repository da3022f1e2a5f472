"""Every rule of docs/read-through-rules.md is named in a test: usage check_rules.py [--list] ROOT

A test names what it holds in its comment or docstring, "Rule 8." or "Rules 8 and 9."; that of a class or of the head of a
file counts for the first test behind it. With --list: which tests hold which rule.
"""
import re
import sys

import tree

PAGE = "docs/read-through-rules.md"
RULE = re.compile(r"^- \*\*(\d+)\*\* ", re.M)
NAMED = re.compile(r"\bRules? (\d+(?:(?:,\s|\sand\s)\d+)*)")
TEST = {".py": re.compile(r"^ *def (\w+)", re.M), ".c": re.compile(r"^static void (\w+__\w+)\(", re.M)}
OPTION = re.compile(r'^    \{\.name = "([\w-]+)"', re.M)


def numbers(text):
    return [int(number) for number in re.findall(r"\d+", text)]


def test_of(text, at, suffix):
    """In C the comment stands before the test, in Python within it."""
    found = list(TEST[suffix].finditer(text))
    if suffix == ".c":
        return next((m.group(1) for m in found if m.start() > at), "the file")
    owner = re.compile(r"^class (\w+)", re.M)
    before = [m for m in found + list(owner.finditer(text)) if m.start() < at]
    return max(before, key=lambda m: m.start()).group(1) if before else "the file"


def named(root):
    """{rule: [place, ...]}"""
    places = {}
    for path in tree.files(root, (".py", ".c"), ("tests",)):
        if path.startswith("tests/lint/"):
            continue
        text = tree.read(root, path)
        for match in NAMED.finditer(re.sub(r"\n \* ", "\n   ", text)):
            place = f"{path} {test_of(text, match.start(), path[path.rindex('.'):])}"
            for number in numbers(match.group(1)):
                places.setdefault(number, []).append(place)
    return places


def unused_options(root):
    """Options of sources and maps that no test behind the layer's own sets."""
    tests = "".join(tree.read(root, path) for path in tree.files(root, (".py", ".c"), ("tests",))
                    if path.startswith(("tests/sim/", "tests/integration/", "tests/support/", "tests/unit/")))
    options = OPTION.findall(tree.read(root, "src/source/options.c"))
    return [name for name in options if not re.search(rf"(?<![\w-]){name}(?![\w-])", tests)]


def main(arguments):
    root = arguments[-1]
    rules = [int(number) for number in RULE.findall(tree.read(root, PAGE))]
    places = named(root)
    if arguments[0] == "--list":
        for number in rules:
            print(f"{number}: " + "; ".join(places.get(number, [])))
        return
    report = tree.Report()
    report.case(f"the rules in {PAGE} are in order", [] if rules == sorted(set(rules)) and len(rules) > 40 else [PAGE])
    report.case("each rule is named in a test", [f"rule {number}" for number in rules if number not in places])
    report.case("each rule that a test names is there", [f"rule {number}: {places[number]}" for number in places if number not in rules])
    report.case("each option of sources and maps is set in a test", unused_options(root))
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
