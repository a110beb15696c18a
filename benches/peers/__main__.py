"""Telamon beside its peers: what a call costs each of them. `just peers --help`.

Every proxy has one worker, alone on a core; the backends and the load share another. They take turns, round by round, and every answer is
checked whole: one wrong answer makes a row void. CPU time is the kernel's own count (schedstat), so what the load costs is not in it; but
two programs that want the same core bend each other's figures, so run it on a machine that does nothing else."""

import argparse
import os
import resource
import signal
import statistics
import sys
import tempfile
from pathlib import Path

import foreign
import install
import measure
import proxies
import report
import scale
import works

PEERS = ("envoy", "haproxy", "nginx", "pingora")


def arguments():
    names = [work.name for work in works.WORKS] + ["memory", *works.ALONE]
    parser = argparse.ArgumentParser(
        prog="just peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="works:\n" + "\n".join(f"  {work.name:<10} {work.title}" for work in works.WORKS)
        + "\n  memory     an idle connection, a call in flight\n  workers    two workers against one\n"
        + "  endpoints, servlets, routes   what a call costs with 10 to 10,000 of them\n"
        + "  swap       a table of 10,000 endpoints written anew under load",
    )
    parser.add_argument("--only", nargs="+", metavar="WORK", choices=names, help="these works; then RESULTS.md is not written")
    parser.add_argument("--proxies", nargs="+", metavar="PEER", choices=PEERS, help="these peers beside Telamon; likewise")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (5)")
    parser.add_argument("--calls", type=int, default=20_000, help="calls a round, of the cheap kinds (20000)")
    parser.add_argument("--telamon", nargs="+", type=Path, metavar="PROGRAM", help="built already; more than one are compared")
    parser.add_argument("--foreign", action="store_true", help="h2load and ab instead of our own load, where they can")
    parser.add_argument("--no-latency", action="store_true", help="leave out the rounds at a fixed rate")
    return parser.parse_args()


def kinds(options):
    """Who takes part: Telamon first."""
    install.packages()
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
    return found + [makers[name]() for name in options.proxies or PEERS], programs[0].resolve()


class Run:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.ends = install.ends()
        self.kinds, self.telamon = kinds(options)
        self.titles = {kind.name: kind.title for kind in self.kinds}
        self.driver = measure.Driver(self.ends, foreign.loads(directory) if options.foreign else None)

    def wants(self, name):
        return not self.options.only or name in self.options.only

    def told(self, text):
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)

    def parts(self):
        """The report, a part at a time."""
        loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
        cores = (proxies.PROXY_CORE, proxies.ENDS_CORE)
        yield report.head(self.kinds, self.options.rounds, self.options.calls, cores, loads)
        if any(self.wants(work.name) for work in works.WORKS):
            yield from self.beside()
        if self.wants("memory"):
            yield self.memory()
        yield from scale.parts(self)

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
                    yield f"{kind.title} takes no part: {failed}\n"
            for work in works.WORKS:
                if self.wants(work.name):
                    yield report.work(work, self.rows(work, [one for one in started if work.port in one.ports]), self.titles)
        finally:
            for process in [*started, backends]:
                process.stop()

    def rows(self, work, able):
        pairs = [(proxy, work) for proxy in able]
        rows = measure.in_turn(self.driver, pairs, self.options.rounds, self.options.calls, self.told)
        good = [row for row in rows if not row.void]
        if good and not self.options.no_latency:
            carried = {row.name: row.median(lambda sample: sample.a_second) for row in good}
            rate = 0.5 * carried.get("envoy", min(carried.values()))
            self.told(f"{work.name}: at {rate:.0f} calls a second")
            measure.at_a_rate(self.driver, pairs, rows, min(3, self.options.rounds), rate)
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
        found = []
        for _ in range(min(3, self.options.rounds)):
            try:
                proxy = kind.start(self.directory, backends)
                try:
                    found.append(measure.held(self.ends, proxy, what))
                finally:
                    proxy.stop()
            except proxies.Failed as failed:
                return f"void: {str(failed).strip().splitlines()[-1][:100]}"
        return statistics.median(found)


def main():
    options = arguments()
    # Whoever ends us ends the proxies too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Ten thousand endpoints are ten thousand connections, on both sides of the proxy.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="peers") as directory:
        text = []
        for part in Run(options, Path(directory)).parts():
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
            print(part, flush=True)
            text.append(part)
    if not (options.only or options.proxies or options.telamon or options.foreign or options.no_latency):
        (install.HERE / "RESULTS.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
