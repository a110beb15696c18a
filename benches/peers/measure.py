"""Reads what a call costs off the kernel's books, in rounds that take turns: A B C A B C …, since a machine's speed drifts."""

import json
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from proxies import ENDS_CORE, Failed, pinned

LATENCY_SECONDS = 2  # a round at a fixed rate; at least this many calls are made whatever the rate is
LATENCY_CALLS = 400


def cpu_nanos(pid):
    """Nanoseconds on a processor, of all threads that live."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
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
    p50: float
    p99: float
    p999: float
    max: float

    @property
    def micros(self):
        return self.cpu / 1e3 / self.calls

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


def ratio(own, other):
    """Ours to theirs: (median, least, most) over the rounds, each of which is a pair of neighbours in time."""
    ratios = [a.micros / b.micros for a, b in zip(own.costs, other.costs)]
    return statistics.median(ratios), min(ratios), max(ratios)


class Driver:
    """Makes calls with our own load, which checks every answer, or with a tool that is not ours."""

    def __init__(self, ends, directory, foreign=False):
        self.ends, self.directory, self.foreign = ends, directory, foreign

    def call(self, proxy, work, calls, rate=0.0):
        port = proxy.ports[work.port]
        before = cpu_nanos(proxy.pid)
        if self.foreign and work.foreign and not rate:
            told = self._foreign(work, port, calls)
        else:
            told = json.loads(self._ours(work, port, calls, rate))
        return Sample(cpu=cpu_nanos(proxy.pid) - before, **told)

    def _ours(self, work, port, calls, rate):
        command = [
            self.ends, "load", f"127.0.0.1:{port}", work.call, work.protocol,
            work.connections, work.streams, calls, rate,
        ]
        return self._run([*command, work.path] if work.path else command, 120 + (calls / rate if rate else calls / 50))

    def _foreign(self, work, port, calls):
        url = f"http://127.0.0.1:{port}"
        if work.foreign == "ab":
            body = self.directory / "request.json"
            body.write_text('{"text":"%s"}' % ("q" * 39))
            text = self._run(
                ["ab", "-q", "-n", calls, "-c", work.connections, "-p", body, "-T", "application/json", url + "/v1/echo"], 600
            )
            good = calls if "Failed requests:        0" in text and "Non-2xx" not in text else 0
        else:
            body = self.directory / "request.bin"
            body.write_bytes(b"\0\0\0\0\x29\x0a\x27" + b"q" * 39)
            text = self._run(
                [
                    "h2load", "-n", calls, "-c", work.connections, "-m", work.streams, "-d", body,
                    "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/bench.v1.Bench/Echo",
                ], 600,
            )
            good = int(text.split(" 2xx,")[0].split()[-1])
            # A call refused with 200 and no message is one that brings less data.
            if f"headers (space savings" in text and f"{calls * 45}) data" not in text.replace("B (", "("):
                good = good if f"({calls * 45}) data" in text else 0
        seconds = next(
            float(word) for line in text.splitlines() if line.startswith(("Time taken", "finished in"))
            for word in [line.split("for tests:")[-1].split("finished in")[-1].strip().split("s")[0].split()[0]]
        )
        return dict(
            calls=calls, wrong=calls - good, why="" if good == calls else text[-300:], seconds=seconds,
            p50=0, p99=0, p999=0, max=0,
        )

    def _run(self, command, seconds):
        try:
            done = subprocess.run(
                pinned((ENDS_CORE,), command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise Failed("the load did not come to an end") from None
        if done.returncode != 0:
            raise Failed(done.stdout[-500:])
        return done.stdout


def in_turn(driver, pairs, rounds, calls, told=lambda text: None):
    """The costs of (proxy, work) pairs: a round that warms up, then those that count."""
    rows = [Row(proxy.name) for proxy, _ in pairs]
    for turn in range(rounds + 1):
        for (proxy, work), row in zip(pairs, rows):
            told(f"{work.name}: round {turn} of {rounds}: {proxy.name}")
            count = max(int(calls * work.share), work.connections * work.streams)
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
            if child.stdout.readline().strip() != str(count):
                raise Failed(f"{count} could not be held: {child.stderr.read()[-200:]}")
            time.sleep(2)  # buffers that are given back late
            sizes.append(anonymous_kib(proxy.pid))
        few, many = what.counts
        return (sizes[1] - sizes[0]) / (many - few)
    finally:
        child.kill()
        child.wait()
