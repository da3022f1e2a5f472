"""docs/eviction.md knows every eviction policy: usage check_policies.py ROOT

Its table has one row per row of src/store/policies.def, in the same order and with the summary that the code has, and
each rule has a heading of its own.
"""
import re
import sys

import tree

ROW = re.compile(r'^POLICY\("([\w-]+)", policy_(\w+), (true|false)\)$', re.M)
SUMMARY = re.compile(r'\.summary = "([^"]+)"')


def in_code(root):
    """(name, rule, summary) of every policy."""
    rows = ROW.findall(tree.read(root, "src/store/policies.def"))
    return [(name, rule, SUMMARY.search(tree.read(root, f"src/store/policy_{rule}.c")).group(1)) for name, rule, _ in rows]


def in_docs(page):
    """(name, summary) of every row of the table under "Policies"."""
    section = page.partition("\n## Policies\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([\w-]+)` \| ([^|]*?) \|", section, re.M)


def main(root):
    report = tree.Report()
    policies = in_code(root)
    page = tree.read(root, "docs/eviction.md")
    wanted, found = [(name, summary) for name, _, summary in policies], in_docs(page)
    report.case("the rows of policies.def are understood",
                [] if len(policies) == tree.read(root, "src/store/policies.def").count("\nPOLICY(") else ["policies.def"])
    report.case("the table in docs/eviction.md is that of the code",
                [f"wanted {w}, found {f}" for w, f in zip(wanted + [None] * len(found), found + [None] * len(wanted)) if w != f])
    headings = set(re.findall(r"^### (\w+)", page, re.M))
    report.case("docs/eviction.md explains each rule", sorted({rule for _, rule, _ in policies} - headings))
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1])
