"""Runs one unittest module and prints TAP, one line per case: python3 tap_runner.py FILE [unittest names...]

A skipped case prints its reason. The plan comes last, so that a case added by a failing fixture is counted too.
"""
import importlib.util
import os
import sys
import traceback
import unittest


class TapResult(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out
        self.number = 0
        self.failed_subtests = set()

    def line(self, verdict, test, note=""):
        self.number += 1
        name = test.id().split(".", 1)[-1] if hasattr(test, "id") else str(test)
        self.out.write(f"{verdict} {self.number} - {name.replace('#', '_')}{note}\n")
        self.out.flush()

    def explain(self, err):
        text = "".join(traceback.format_exception(*err))
        self.out.write("".join(f"# {line}\n" for line in text.rstrip().split("\n")))

    def addSuccess(self, test):
        if test.id() not in self.failed_subtests:
            self.line("ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.explain(err)
        self.line("not ok", test)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed_subtests.add(test.id())
            self.explain(err)
            self.line("not ok", subtest)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, f" # SKIP {reason}")

    def addExpectedFailure(self, test, err):
        self.line("not ok", test, " # an expected failure is not accepted here")

    def addUnexpectedSuccess(self, test):
        self.line("not ok", test, " # marked as failing, but passes")


def load(path):
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.dirname(os.path.abspath(path))]
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: tap_runner.py FILE [Class[.test]...]")
    module = load(sys.argv[1])
    import tarn
    tarn.stop_on_signal()
    loader = unittest.defaultTestLoader
    names = sys.argv[2:]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    result = TapResult(sys.stdout)
    suite.run(result)
    print(f"1..{result.number}")
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
