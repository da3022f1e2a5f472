"""Text files are clean: usage check_text.py ROOT"""
import re
import sys

import tree

SUFFIXES = (".c", ".h", ".def", ".py", ".sh", ".sql", ".md", ".txt", ".conf", ".yml", "meson.build", "LICENSE",
            ".clang-format", ".editorconfig", ".gitignore")
# Written so that this file does not offend itself.
RULES = [
    ("there are no tabs", re.compile(r"\t")),
    ("no line ends in blanks", re.compile(r"[ \t]+$")),
    ("lines end in LF alone", re.compile(r"\r")),
    ("nothing is left to be done in a comment", re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b")),
    ("no path leads into somebody's home", re.compile(r"(?<![\w.:*{}>/-])/(home|root|work|User[s])/")),
]


def main(root):
    report = tree.Report()
    faults = {name: [] for name, _ in RULES}
    unfinished, undecodable = [], []
    for path in tree.files(root, SUFFIXES):
        try:
            text = tree.read(root, path)
        except UnicodeDecodeError as error:
            undecodable.append(f"{path}: {error}")
            continue
        for number, line in enumerate(text.split("\n"), 1):
            for name, pattern in RULES:
                if pattern.search(line):
                    faults[name].append(f"{path}:{number}: {line.strip()[:100]}")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            unfinished.append(path)
    for name, _ in RULES:
        report.case(name, faults[name])
    report.case("files end with one newline", unfinished)
    report.case("files are UTF-8", undecodable)
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1])
