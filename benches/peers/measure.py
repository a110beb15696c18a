"""Reads what a call costs off the kernel's books, in rounds that take turns: A B C A B C …, since a machine's speed drifts."""

import json
import select
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from proxies import ENDS_CORE, Failed, pinned

LATENCY_ROUNDS = 3
LATENCY_SECONDS = 1.5  # a round at a fixed rate; at least this many calls are made whatever the rate is
LATENCY_CALLS = 400
WORKERS = "worker-"  # how Telamon names its threads that carry calls
HOLD_SECONDS = 120  # for all of them to be there


def cpu_nanos(pid, named=""):
    """Nanoseconds on a processor, of all threads that live, or of those whose names begin so."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (thread / "comm").read_text().startswith(named):
                total += int((thread / "schedstat").read_text().split()[0])
        except OSError:
            pass  # it ended meanwhile
    return total


def anonymous_kib(pid):
    """Memory that is a process's own, mapped files aside."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    raise Failed("no smaps_rollup")


@dataclass
class Sample:
    """One round: `calls` answered, and what the proxy's processor time was meanwhile."""

    calls: int
    wrong: int
    why: str
    seconds: float
    cpu: float
    workers: float  # of it, what Telamon's workers took; the rest looks after files
    p50: float
    p99: float
    p999: float
    max: float

    @property
    def micros(self):
        return self.cpu / 1e3 / self.calls

    @property
    def worker_micros(self):
        return self.workers / 1e3 / self.calls

    @property
    def aside(self):
        """Milliseconds a second that other threads took."""
        return (self.cpu - self.workers) / 1e6 / self.seconds

    @property
    def a_second(self):
        return self.calls / self.seconds

    @property
    def busy(self):
        """Share of the time that the proxy was on its processor."""
        return self.cpu / 1e9 / self.seconds


@dataclass
class Row:
    """A proxy's rounds of one work."""

    name: str
    costs: list = field(default_factory=list)
    paced: list = field(default_factory=list)
    rate: float = 0.0
    void: str = ""

    def median(self, value, samples=None):
        return statistics.median(map(value, self.costs if samples is None else samples))


def ratio(own, other, value=lambda sample: sample.micros):
    """Ours to theirs: (median, least, most) over the rounds, each of which is a pair of neighbours in time."""
    ratios = [value(a) / value(b) for a, b in zip(own.costs, other.costs)]
    return statistics.median(ratios), min(ratios), max(ratios)


def pinned_run(command, seconds):
    """What a program says that runs beside the backends, and not for ever."""
    try:
        done = subprocess.run(
            pinned((ENDS_CORE,), command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise Failed("the load did not come to an end") from None
    if done.returncode != 0:
        raise Failed(done.stdout[-500:])
    return done.stdout


class Driver:
    """Makes calls with our own load, which checks every answer, or where `foreign` says so with a tool that is not ours."""

    def __init__(self, ends, foreign=None):
        self.ends, self.foreign = ends, foreign

    def call(self, proxy, work, calls, rate=0.0):
        port = proxy.ports[work.port]
        before, workers = cpu_nanos(proxy.pid), cpu_nanos(proxy.pid, WORKERS)
        if self.foreign and work.foreign and not rate:
            told = self.foreign(work, port, calls)
        else:
            told = self._ours(work, port, calls, rate)
        cpu = cpu_nanos(proxy.pid) - before
        return Sample(cpu=cpu, workers=cpu_nanos(proxy.pid, WORKERS) - workers, **told)

    def _ours(self, work, port, calls, rate):
        command = [
            self.ends, "load", f"127.0.0.1:{port}", work.call, work.protocol,
            work.connections, work.streams, calls, rate,
        ]
        patience = 120 + calls / (rate or 50)
        return json.loads(pinned_run([*command, work.path] if work.path else command, patience))


def in_turn(driver, pairs, rounds, calls, told=lambda text: None):
    """The costs of (proxy, work) pairs: a round that warms up, then those that count."""
    rows = [Row(proxy.name) for proxy, _ in pairs]
    for turn in range(rounds + 1):
        for (proxy, work), row in zip(pairs, rows):
            told(f"{work.name}: round {turn} of {rounds}: {proxy.name}")
            count = max(int(calls * work.share), work.connections * work.streams, 0 if turn else work.warm)
            sample = _sampled(row, lambda: driver.call(proxy, work, count))
            if sample and turn > 0:
                row.costs.append(sample)
    return rows


def at_a_rate(driver, pairs, rows, rounds, rate):
    """Adds latencies at `rate` calls a second."""
    calls = max(int(rate * LATENCY_SECONDS), LATENCY_CALLS)
    for _ in range(rounds):
        for (proxy, work), row in zip(pairs, rows):
            row.rate = rate
            sample = _sampled(row, lambda: driver.call(proxy, work, calls, round(rate, 3)))
            if sample:
                row.paced.append(sample)


def _sampled(row, call):
    """A round with a wrong answer makes the whole row void, and it takes part no more."""
    if row.void:
        return None
    try:
        sample = call()
    except Failed as failed:
        row.void = str(failed).strip().splitlines()[-1][:200] if str(failed).strip() else "it failed"
        return None
    if sample.wrong:
        row.void = f"{sample.wrong} of {sample.calls} calls went wrong: {sample.why}"[:200]
        return None
    return sample


def held(ends, proxy, what):
    """KiB that each of what is held takes."""
    command = [ends, "hold", f"127.0.0.1:{proxy.ports[what.port]}", what.call, what.protocol]
    child = subprocess.Popen(
        pinned((ENDS_CORE,), command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        sizes = []
        for count in what.counts:
            child.stdin.write(f"{count}\n")
            child.stdin.flush()
            answers, _, _ = select.select([child.stdout], [], [], HOLD_SECONDS)
            if not answers or child.stdout.readline().strip() != str(count):
                child.kill()
                raise Failed(f"{count} could not be held: {child.stderr.read()[-200:]}")
            time.sleep(2)  # buffers that are given back late
            sizes.append(anonymous_kib(proxy.pid))
        few, many = what.counts
        return (sizes[1] - sizes[0]) / (many - few)
    except BrokenPipeError:
        raise Failed(f"what held them ended: {child.stderr.read()[-200:]}") from None
    finally:
        child.kill()
        child.wait()
