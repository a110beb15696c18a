"""Telamon beside its peers: what a call costs each of them. `just peers --help`.

Every proxy has one worker, alone on a core; the backends and the load share another. They take turns, round by round, and every answer is
checked whole: one wrong answer makes a row void. CPU time is the kernel's own count (schedstat), so what the load costs is not in it; but
two programs that want the same core bend each other's figures, so run it on a machine that does nothing else."""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import foreign
import install
import measure
import proxies
import report
import results
import scale
import works

PEERS = ("envoy", "haproxy", "nginx", "pingora")


def arguments():
    names = [work.name for work in works.WORKS] + ["memory", *(part.name for part in works.ALONE)]
    parser = argparse.ArgumentParser(
        prog="just peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="works:\n" + "\n".join(f"  {work.name:<10} {work.title}" for work in works.WORKS)
        + "\n  memory     an idle connection, a call in flight\nTelamon beside itself:\n"
        + "\n".join(f"  {part.name:<10} {part.about}" for part in works.ALONE)
        + "\n\nA whole run takes 10 to 20 minutes, 15 more where Telamon is to be built, and writes RESULTS.md. Other runs print, and\n"
        "write with --write.",
    )
    parser.add_argument("--only", nargs="+", metavar="WORK", choices=names, help="these works")
    parser.add_argument("--write", action="store_true", help="put what was found into RESULTS.md; what is not measured stays, with its date")
    parser.add_argument("--proxies", nargs="+", metavar="PEER", choices=PEERS, help="these peers beside Telamon")
    parser.add_argument("--rounds", type=some, default=5, help="counted rounds (5)")
    parser.add_argument("--calls", type=some, default=20_000, help="calls a round, of the cheap kinds (20000)")
    parser.add_argument("--telamon", nargs="+", type=program, metavar="PROGRAM", help="built already; more than one are compared")
    parser.add_argument("--foreign", action="store_true", help="h2load and ab instead of our own load, where they can")
    parser.add_argument("--no-latency", action="store_true", help="leave out the rounds at a fixed rate")
    return parser.parse_args()


def some(text):
    """A number of things to do."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def program(text):
    """The path of a program that is there."""
    if not os.access(text, os.X_OK) or os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text} is no program")
    return Path(text)


def kinds(options, peers):
    """Who takes part: Telamon first."""
    programs = options.telamon or [install.telamon()]
    found = []
    for index, program in enumerate(programs, 1):
        suffix = "" if index == 1 else f" {index}"
        found.append(proxies.telamon(program.resolve(), f"telamon{suffix.strip()}", f"Telamon{suffix}"))
    makers = {
        "envoy": lambda: proxies.envoy(install.envoy()),
        "haproxy": proxies.haproxy,
        "nginx": proxies.nginx,
        "pingora": lambda: proxies.pingora(install.pingora()),
    }
    return found + [makers[name]() for name in peers], programs[0].resolve()


class Run:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.ends = install.ends()
        install.packages()
        # Telamon beside itself needs none of them.
        beside = any(self.wants(name) for name in ["memory", *(work.name for work in works.WORKS)])
        self.kinds, self.telamon = kinds(options, (options.proxies or PEERS) if beside else ())
        self.titles = {kind.name: kind.title for kind in self.kinds}
        self.driver = measure.Driver(self.ends, foreign.loads(directory) if options.foreign else None)
        self.curves = {}  # by the file that each is to be drawn in

    def wants(self, name):
        return not self.options.only or name in self.options.only

    def told(self, text):
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)

    def parts(self):
        """Titles and what was found, a part at a time."""
        if any(self.wants(work.name) for work in works.WORKS):
            yield from self.beside()
        if self.wants("memory"):
            yield works.MEMORY_TITLE, self.memory()
        yield from scale.parts(self)

    def dated(self, title, text):
        """With what it was measured on, and when."""
        options = self.options
        loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
        cores = (proxies.PROXY_CORE, proxies.ENDS_CORE)
        commit = subprocess.run(
            ["git", "-C", install.ROOT, "rev-parse", "--short", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ).stdout.strip()
        build = " (a build that was given)" if options.telamon else f" ({commit}, as packaged)"
        how = f"{options.rounds} rounds after one that warms up, {options.calls:,} calls of the cheap kinds each"
        if title == works.MEMORY_TITLE:
            how = "measured once"
        alone = any(title in part.titles for part in works.ALONE)
        return text.rstrip() + "\n\n" + report.measured(self.kinds[:1] if alone else self.kinds, build, how, cores, loads)

    def beside(self):
        backends = proxies.Backends(self.ends, self.directory)
        started = []
        try:
            for kind in self.kinds:
                self.told(f"starting {kind.title}")
                try:
                    started.append(kind.start(self.directory, backends))
                except proxies.Failed as failed:
                    if not started:
                        raise
                    self.told(f"{kind.title} takes no part: {failed}\n")
            for work in works.WORKS:
                if self.wants(work.name):
                    yield work.title, report.work(work, self.rows(work, [one for one in started if work.port in one.ports]), self.titles)
        finally:
            for process in [*started, backends]:
                process.stop()

    def rows(self, work, able):
        pairs = [(proxy, work) for proxy in able]
        rows = measure.in_turn(self.driver, pairs, self.options.rounds, self.options.calls, self.told)
        good = [row for row in rows if not row.void]
        if good and work.paced and not self.options.no_latency:
            carried = {row.name: row.median(lambda sample: sample.a_second) for row in good}
            rate = 0.5 * carried.get("envoy", min(carried.values()))
            self.told(f"{work.name}: at {rate:.0f} calls a second")
            measure.at_a_rate(self.driver, pairs, rows, min(measure.LATENCY_ROUNDS, self.options.rounds), rate)
        return rows

    def memory(self):
        """A proxy of its own for each thing held, since memory once taken may be used again."""
        found = []
        backends = proxies.Backends(self.ends, self.directory)
        try:
            for what in works.MEMORY:
                sizes = {}
                for kind in self.kinds:
                    self.told(f"memory: {what.title}: {kind.title}")
                    sizes[kind.name] = self.held(kind, what, backends)
                found.append((what, sizes))
        finally:
            backends.stop()
        return report.memory(found, self.titles)

    def held(self, kind, what, backends):
        try:
            proxy = kind.start(self.directory, backends)
            try:
                return measure.held(self.ends, proxy, what)
            finally:
                proxy.stop()
        except proxies.Failed as failed:
            return f"void: {str(failed).strip().splitlines()[-1][:100]}"


def main():
    options = arguments()
    # Whoever ends us ends the proxies too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Ten thousand endpoints are ten thousand connections, on both sides of the proxy.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="peers") as directory:
        run = Run(options, Path(directory))
        found = {}
        for title, text in run.parts():
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
            print(f"## {title}\n\n{text}", flush=True)
            found[title] = run.dated(title, text)
    whole = not (options.only or options.proxies or options.telamon or options.foreign or options.no_latency)
    if whole or options.write:
        results.write(install.HERE / "RESULTS.md", report.HEAD, works.titles(), found)
        for name, drawing in run.curves.items():
            (install.HERE / "curves").mkdir(exist_ok=True)
            (install.HERE / "curves" / name).write_text(drawing)


if __name__ == "__main__":
    main()
