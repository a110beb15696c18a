"""Telamon beside itself: with two workers, with ten thousand of everything, and while a table is written anew."""

import json
import os
import statistics
import threading
import time
import urllib.request
from dataclasses import replace

import measure
import proxies
import report
from proxies import Backends, Failed, endpoints, telamon_of
from works import WORKS

SIZES = (10, 100, 1_000, 10_000)
MOST = 1_000_000  # the largest weight of an endpoint
SWAP_RATE = 2_000  # calls a second while a table is written anew
SWAPS = 5  # in a round, a second apart

SCHEMA = "schema: ../bench.proto\nservices: [bench.v1.Bench]\n"
PROTO = {"bench.proto": (proxies.install.HERE / "bench.proto").read_text()}
UNARY = next(work for work in WORKS if work.name == "unary")
JSON = next(work for work in WORKS if work.name == "json")


def parts(run):
    """The parts that are wanted, as Markdown."""
    for name, part in (
        ("workers", workers), ("endpoints", by_endpoints), ("servlets", by_servlets), ("routes", by_routes), ("swap", swap),
    ):
        if run.wants(name):
            # On every address of loopback, since endpoints are told apart by theirs.
            backends = Backends(run.ends, run.directory, "0.0.0.0")
            try:
                yield from part(run, backends)
            finally:
                backends.stop()


def compared(run, variants):
    """`variants`: a name, files, a work, and how it runs. Costs in turn."""
    started, rows = [], {name: None for name, *_ in variants}
    try:
        for name, files, work, how in variants:
            run.told(f"starting with {name}")
            directory = run.directory / f"scale-{name.replace(' ', '-').replace(',', '')}"
            try:
                started.append((telamon_of(run.telamon, name, directory, files, **how), work))
            except Failed as failed:
                rows[name] = measure.Row(name, void=str(failed).splitlines()[0])
        found = measure.in_turn(run.driver, started, run.options.rounds, run.options.calls, run.told)
        return list((rows | {row.name: row for row in found}).values())
    finally:
        for process, _ in started:
            process.stop()


def three(backends):
    return endpoints(zip(backends.addresses, proxies.WEIGHTS))


def workers(run, backends):
    files = PROTO | {"servlets/bench.yaml": SCHEMA, "endpoints/bench.yaml": three(backends)}
    both = (proxies.PROXY_CORE, proxies.SECOND_CORE)
    rows = compared(run, [
        ("1 worker", files, UNARY, {}),
        ("2 workers", files, UNARY, {"workers": 2, "cores": both}),
    ])
    note = f"{UNARY.title}. Must be at most 1.15; aim 1.05."
    if proxies.SECOND_CORE == proxies.ENDS_CORE:
        note += " There is no third core: the second worker shares its own with the backends and the load."
    yield report.curve("Two workers against one", note, rows)


def table(backends, size, weights):
    """`size` endpoints, each an address of its own on loopback, over the backends' three ports."""
    rows = []
    for index in range(size):
        host = f"127.{1 + index // 62_500}.{index // 250 % 250}.{1 + index % 250}"
        rows.append((f"{host}:{backends.ports[index % len(backends.ports)]}", weights(index)))
    return endpoints(rows)


def carried_by_three(rest):
    """Nearly all calls go to three, so that what is measured is the table and not ten thousand sockets."""
    return lambda index: MOST * (3 - index) // 3 if index < 3 else rest


def by_endpoints(run, backends):
    def of(weights):
        def files(size):
            return PROTO | {"servlets/bench.yaml": SCHEMA, "endpoints/bench.yaml": table(backends, size, weights)}

        # First every endpoint gets its connection.
        return compared(run, [
            (f"{size:,} endpoints", files(size), replace(UNARY, warm=3 * size), {}) for size in SIZES
        ])

    yield report.curve(
        "Endpoints of one servlet, three of which carry the traffic",
        f"{UNARY.title}. May grow by 5 % from 10 to 10,000.", of(carried_by_three(1)),
    )
    yield report.curve(
        "Endpoints of one servlet, all of one weight",
        f"{UNARY.title}. Here each endpoint is a connection as well, with fewer calls a read and a write the more there are of them: "
        "this is what sockets cost.", of(lambda _: 1),
    )


def by_servlets(run, backends):
    def files(size):
        each = {f"servlets/s{index}.yaml": f"services: [bench.s{index}.Bench]\n" for index in range(size)}
        return each | {f"endpoints/s{index}.yaml": three(backends) for index in range(size)}

    rows = compared(run, [
        (f"{size:,} servlets", files(size), replace(UNARY, path=f"/bench.s{size // 2}.Bench/Echo"), {}) for size in SIZES
    ])
    yield report.curve("Servlets", f"{UNARY.title}. May grow by 5 % from 10 to 10,000.", rows)


def by_routes(run, backends):
    def files(size):
        routes = "".join(
            f'  - {{ match: {{ method: POST, path: "/r{index}/*/echo" }}, call: bench.v1.Bench/Echo }}\n'
            for index in range(size)
        )
        return PROTO | {"servlets/bench.yaml": SCHEMA + "routes:\n" + routes, "endpoints/bench.yaml": three(backends)}

    rows = compared(run, [
        (f"{size:,} routes", files(size), replace(JSON, path=f"/r{size // 2}/x/echo"), {}) for size in SIZES
    ])
    yield report.curve("Routes of one servlet", f"{JSON.title}. May grow by 5 % from 10 to 10,000.", rows)


def accepted(proxy):
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.admin}/api/v1/reloads", timeout=5) as answer:
        reports = json.load(answer)
    return sum(one["accepted"] for one in (reports if isinstance(reports, list) else reports["reloads"]))


def swap(run, backends):
    """Calls at a fixed rate: for some seconds in peace, and as long while a table of 10,000 is written again and again."""
    size = SIZES[-1]
    tables = [table(backends, size, carried_by_three(rest)) for rest in (1, 2)]
    files = PROTO | {"servlets/bench.yaml": SCHEMA, "endpoints/bench.yaml": tables[0]}
    proxy = telamon_of(run.telamon, "telamon", run.directory / "swap", files)
    try:
        run.driver.call(proxy, UNARY, run.options.calls)
        still, moving, cpu = [], [], []
        for turn in range(run.options.rounds):
            run.told(f"swap: round {turn + 1} of {run.options.rounds}")
            calls = SWAP_RATE * (SWAPS + 1)
            still.append(run.driver.call(proxy, UNARY, calls, SWAP_RATE))
            known, before = accepted(proxy), measure.cpu_nanos(proxy.pid, "control")
            writer = threading.Thread(target=rewrite, args=(proxy.directory / "endpoints/bench.yaml", tables))
            writer.start()
            moving.append(run.driver.call(proxy, UNARY, calls, SWAP_RATE))
            writer.join()
            seen = accepted(proxy) - known
            if seen != SWAPS:
                raise Failed(f"{seen} of {SWAPS} tables were taken up")
            cpu.append((measure.cpu_nanos(proxy.pid, "control") - before) / SWAPS)
    finally:
        proxy.stop()
    yield swap_report(still, moving, cpu)


def rewrite(path, tables):
    for turn in range(SWAPS):
        time.sleep(0.9)
        fresh = path.with_suffix(".new")
        fresh.write_text(tables[(turn + 1) % 2])
        os.rename(fresh, path)


def swap_report(still, moving, cpu):
    milliseconds = [nanos / 1e6 for nanos in cpu]
    rows = []
    for name, samples in (("in peace", still), ("while it is written", moving)):
        wrong = sum(sample.wrong for sample in samples)
        cells = [report.number(statistics.median(getattr(sample, value) for sample in samples)) for value in ("p50", "p99", "p999")]
        worst = [sample.max for sample in samples]
        rows.append([name, str(wrong), *cells, report.number(statistics.median(worst)), report.spread(worst)])
    return (
        "## A table of 10,000 endpoints, written anew under load\n\n"
        f"{SWAP_RATE:,} calls a second. Reading, checking and putting it in force took {statistics.median(milliseconds):.1f} ms "
        f"({min(milliseconds):.1f} to {max(milliseconds):.1f}) of the control thread's processor; must be under 50. "
        "No call may be delayed by more than 2 ms: compare the slowest calls of both lines.\n\n"
        + report.table(["", "wrong", "p50 µs", "p99", "p99.9", "slowest", "of each round"], rows)
    )
