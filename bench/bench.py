"""Compares tarn with its peers: see script/bench, which builds what is needed and calls this, and README.md."""
import argparse
import os
import sys
import time

import servers
from page import Page
from run import Context, run_workloads
from special import QUICK, SPECIALS
from workloads import WORKLOADS

BUILT = ("--tarn", "--load", "--replay")  # with their values the first arguments: from script/bench
HERE = os.path.dirname(os.path.abspath(__file__))


def parse(argv):
    parser = argparse.ArgumentParser(prog="script/bench", description="Measures tarn and its peers on this machine and "
                                     "writes bench/results/<date>.md.")
    parser.add_argument("names", nargs="*", metavar="workload", help="only these (see --list)")
    parser.add_argument("--list", action="store_true", help="show the workloads and end")
    parser.add_argument("--quick", action="store_true", help="a few workloads, short runs: under five minutes")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH",
                        help="one more server: a redis, valkey, memcached, tarn or floor binary; repeatable")
    parser.add_argument("--only", metavar="NAME,...", help="of the peers, only these")
    parser.add_argument("--repeats", type=int, help="rounds in which the servers take turns (5; --quick: 3)")
    parser.add_argument("--seconds", type=float, help="of each measured run (4; --quick: 1.5)")
    parser.add_argument("--out", default=os.path.join(HERE, "results"), metavar="FOLDER", help="where results go")
    parser.add_argument("--tarn", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--load", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--replay", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def show_list():
    for w in WORKLOADS:
        print(f"{w.name:14}{w.title}{'  (quick)' if w.is_quick else ''}")
    for name, function in SPECIALS.items():
        print(f"{name:14}{function.__doc__}{'  (quick)' if name in QUICK else ''}")


def choose_programs(args):
    peers = servers.packaged()
    for peer in args.peer:
        name, equals, path = peer.partition("=")
        if not equals:
            raise LookupError(f"--peer takes NAME=PATH, not {peer}")
        peers = [p for p in peers if p.name != name] + [servers.Program(name, path)]
    if args.only is not None:
        wanted = [n for n in args.only.split(",") if n]
        missing = set(wanted) - {p.name for p in peers}
        if missing:
            raise LookupError(f"no such peer: {', '.join(sorted(missing))}")
        peers = [p for p in peers if p.name in wanted]
    return [servers.Program("tarn", args.tarn)] + peers


def choose_work(args):
    """Names of loads and of special measurements."""
    known = [w.name for w in WORKLOADS] + list(SPECIALS)
    unknown = [n for n in args.names if n not in known]
    if unknown:
        raise LookupError(f"no such workload: {', '.join(unknown)} (see --list)")
    if args.names:
        return args.names
    if args.quick:
        return [w.name for w in WORKLOADS if w.is_quick] + list(QUICK)
    return known


def measure(context, page, chosen):
    results = []
    try:
        for runs in run_workloads(context, [w for w in WORKLOADS if w.name in chosen]):
            results.append(runs)
    finally:
        page.loads(results)
    context.programs = [p for p in context.programs if not p.is_floor]  # it can only be loaded
    for name in (n for n in SPECIALS if n in chosen):
        page.section(SPECIALS[name](context))


def main(argv):
    args = parse(argv)
    if args.list:
        show_list()
        return 0
    try:
        programs = choose_programs(args)
        chosen = choose_work(args)
    except LookupError as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 64
    servers.give_files()
    os.makedirs(args.out, exist_ok=True)
    context = Context(programs, args.load, args.replay, args.repeats or (3 if args.quick else 5),
                      args.seconds or (1.5 if args.quick else 4), args.quick)
    page = Page(context, args.out, time.strftime("%Y-%m-%d") + ("-quick" if args.quick else ""))
    command = " ".join(["script/bench"] + argv[2 * len(BUILT):])
    servers.stop_on_signal()
    try:
        measure(context, page, chosen)
    finally:  # what is measured is kept, whatever comes
        print(page.write(command))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
