"""Files and functions stay readable at one sitting: usage check_size.py ROOT

Relies on the layout that clang-format gives: the braces of a function stand alone in the first column.
"""
import ast
import re
import sys

import tree

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
DEPTH_MAX = 4  # blocks within the function's own
# Tables of data, which are long because there is much of it. (*.def is a table by its name.)
TABLE_FILES = set()
NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_noise(text):
    """The same lines, without comments and literals."""
    return NOISE.sub(lambda m: "\n" * m.group().count("\n"), text)


def c_functions(text):
    """Yields (first line, last line, signature, body) of every function; lines count from 1."""
    lines = without_noise(text).split("\n")
    start = 0
    for i, line in enumerate(lines):
        if line == "{":
            signature_at = i
            while signature_at > start and lines[signature_at - 1].strip() not in ("", "}", "};"):
                signature_at -= 1
            end = lines.index("}", i)
            yield signature_at + 1, end + 1, " ".join(lines[signature_at:i]), lines[i:end + 1]
            start = end + 1


def parameters(signature):
    """How many parameters; a pointer to a function counts as one."""
    depth = 0
    count = 1
    for c in signature[signature.index("("):]:
        depth += (c == "(") - (c == ")")
        count += c == "," and depth == 1
    return count


def depth(body):
    level = deepest = 0
    for c in "".join(body):
        level += (c == "{") - (c == "}")
        deepest = max(deepest, level)
    return deepest - 1


def name_of(signature):
    match = re.search(r"(\w+)\s*\(", re.sub(r"PRINTF_LIKE\([^)]*\)|WARN_UNUSED", "", signature))
    return match.group(1) if match else signature


def is_test_list(path, name):
    """The main() of a unit test is a table of its cases."""
    return name == "main" and "/unit/" in path


def check_c(root, path, faults):
    for first, last, signature, body in c_functions(tree.read(root, path)):
        name = name_of(signature)
        lines = last - first + 1
        if lines > FUNCTION_LINES_MAX and not is_test_list(path, name):
            faults["long"].append(f"{path}:{first}: {name}() has {lines} lines")
        if "(" in signature and parameters(signature) > PARAMETERS_MAX:
            faults["wide"].append(f"{path}:{first}: {name}() has {parameters(signature)} parameters")
        if depth(body) > DEPTH_MAX:
            faults["deep"].append(f"{path}:{first}: {name}() nests {depth(body)} blocks")


def check_python(root, path, faults):
    for node in ast.walk(ast.parse(tree.read(root, path))):
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX:
            faults["long"].append(f"{path}:{node.lineno}: {node.name}() has {node.end_lineno - node.lineno + 1} lines")


def main(root):
    report = tree.Report()
    faults = {"long": [], "wide": [], "deep": []}
    big = []
    for path in tree.files(root, (".c", ".h", ".py"), tree.C_FOLDERS):
        lines = tree.read(root, path).count("\n")
        if lines > FILE_LINES_MAX and path not in TABLE_FILES:
            big.append(f"{path} has {lines} lines")
        if path.endswith(".py"):
            check_python(root, path, faults)
        else:
            check_c(root, path, faults)
    report.case(f"files have at most {FILE_LINES_MAX} lines", big)
    report.case(f"functions have at most {FUNCTION_LINES_MAX} lines", faults["long"])
    report.case(f"functions take at most {PARAMETERS_MAX} parameters", faults["wide"])
    report.case(f"functions nest at most {DEPTH_MAX} blocks", faults["deep"])
    report.finish()


if __name__ == "__main__":
    main(sys.argv[1])
