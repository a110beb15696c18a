"""Telamon beside itself: with two workers, with ten thousand of everything, and while a table is written anew."""

import json
import os
import statistics
import threading
import time
import urllib.request
from dataclasses import replace

import drawing
import measure
import proxies
import report
import waits
from proxies import Backends, Failed, endpoints, telamon_of
from works import ALONE, WORKS

SIZES = (10, 100, 1_000, 10_000)
MOST = 1_000_000  # the largest weight of an endpoint
GROWTH = 1.05  # what a call may cost with the most of them, times what it costs with the fewest
SWAP_RATE = 2_000  # calls a second while a table is written anew
SWAPS = 4  # in a round, a second apart
DELAY = 2_000  # microseconds that a call may be later for a swap
IDLE_SECONDS = 20  # nobody calls

SCHEMA = "schema: ../bench.proto\nservices: [bench.v1.Bench]\n"
PROTO = {"bench.proto": (proxies.install.HERE / "bench.proto").read_text()}
UNARY = next(work for work in WORKS if work.name == "unary")
JSON = next(work for work in WORKS if work.name == "json")


def parts(run):
    """The parts that are wanted: titles, and what was found as Markdown."""
    found = {"workers": workers, "endpoints": by_endpoints, "servlets": by_servlets, "routes": by_routes, "swap": swap}
    for part in ALONE:
        if run.wants(part.name):
            # On every address of loopback, since endpoints are told apart by theirs.
            backends = Backends(run.ends, run.directory, "0.0.0.0")
            try:
                yield from zip(part.titles, found[part.name](run, backends))
            finally:
                backends.stop()


def curve(run, note, rows, title, file):
    """A table and a picture."""
    text, points = report.curve(note, rows, GROWTH, file)
    if points:
        run.curves[file] = drawing.svg(title, points, GROWTH)
    return text


def compared(run, variants, at_rest=None):
    """`variants`: a name, files, a work, and how it runs. Costs in turn; what runs is looked at `at_rest` before there is a call."""
    started, rows = [], {name: None for name, *_ in variants}
    try:
        for name, files, work, how in variants:
            run.told(f"starting with {name}")
            directory = run.directory / f"scale-{name.replace(' ', '-').replace(',', '')}"
            try:
                started.append((telamon_of(run.telamon, name, directory, files, **how), work))
            except Failed as failed:
                rows[name] = measure.Row(name, void=str(failed).splitlines()[0])
        if at_rest:
            at_rest([proxy for proxy, _ in started])
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
    note = f"{UNARY.title}. Aim 1.05."
    if proxies.SECOND_CORE == proxies.ENDS_CORE:
        note += " There is no third core: the second worker shares its own with the backends and the load."
    yield report.curve(note, rows, 1.15)[0]


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
    def of(at_rest=None):
        # First every endpoint gets its connection.
        return compared(run, [
            (
                f"{size:,} endpoints",
                PROTO | {"servlets/bench.yaml": SCHEMA, "endpoints/bench.yaml": table(backends, size, lambda _: 1)},
                replace(UNARY, warm=3 * size), {},
            ) for size in SIZES
        ], at_rest)

    def to_three(started):
        for proxy in started:
            path = proxy.directory / "endpoints/bench.yaml"
            size = path.read_text().count("address")
            run.told(f"a connection to each of {size:,}")
            run.driver.call(proxy, UNARY, max(3 * size, UNARY.connections * UNARY.streams))
            write_anew(path, table(backends, size, carried_by_three(1)))
        time.sleep(3)

    yield curve(
        run, f"{UNARY.title}. Each endpoint has its connection before.", of(to_three), "Endpoints, traffic on three", "endpoints.svg"
    )
    yield report.curve(
        f"{UNARY.title}. Here each endpoint is a connection as well, with fewer calls a read and a write the more there are of them: "
        "this is what sockets cost.", of(), GROWTH,
    )[0]


def by_servlets(run, backends):
    def files(size):
        each = {f"servlets/s{index}.yaml": f"services: [bench.s{index}.Bench]\n" for index in range(size)}
        return each | {f"endpoints/s{index}.yaml": three(backends) for index in range(size)}

    rest = []
    rows = compared(run, [
        (f"{size:,} servlets", files(size), replace(UNARY, path=f"/bench.s{size // 2}.Bench/Echo"), {}) for size in SIZES
    ], lambda started: rest.extend(idle(run, started)))
    yield curve(run, f"{UNARY.title}.", rows, "Servlets", "servlets.svg") + "\n" + report.table(
        ["while nobody calls", "ready after s", "memory MiB", "KiB more a servlet", "CPU ms a second"], rest
    )


def idle(run, started):
    """What each takes that does nothing but watch its files."""
    run.told("nobody calls")
    time.sleep(5)  # what a start leaves to do
    before = [measure.cpu_nanos(proxy.pid) for proxy in started]
    time.sleep(IDLE_SECONDS)
    sizes = [measure.anonymous_kib(proxy.pid) for proxy in started]
    for proxy, cpu, size, servlets in zip(started, before, sizes, SIZES):
        spent = (measure.cpu_nanos(proxy.pid) - cpu) / 1e6 / IDLE_SECONDS
        more = (size - sizes[0]) / (servlets - SIZES[0]) if servlets > SIZES[0] else 0
        yield [proxy.name, f"{proxy.ready_after:.2f}", f"{size / 1024:.0f}", f"{more:.1f}", f"{spent:.2f}"]


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
    yield curve(run, f"{JSON.title}.", rows, "Routes of one servlet", "routes.svg")


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
        still, moving, control, workers = Paced(run, proxy), Paced(run, proxy), [], []
        for turn in range(run.options.rounds):
            run.told(f"swap: round {turn + 1} of {run.options.rounds}")
            still.call()
            known, before = accepted(proxy), measure.cpu_nanos(proxy.pid, "control")
            writer = threading.Thread(target=rewrite, args=(proxy.directory / "endpoints/bench.yaml", tables))
            writer.start()
            moving.call()
            writer.join()
            seen = accepted(proxy) - known
            if seen != SWAPS:
                raise Failed(f"{seen} of {SWAPS} tables were taken up")
            control.append((measure.cpu_nanos(proxy.pid, "control") - before) / SWAPS)
        for turn in range(SWAPS):
            # Without calls, what a worker takes it takes to follow.
            before = measure.cpu_nanos(proxy.pid, measure.WORKERS)
            write_anew(proxy.directory / "endpoints/bench.yaml", tables[(turn + 1) % 2])
            time.sleep(0.9)
            workers.append(measure.cpu_nanos(proxy.pid, measure.WORKERS) - before)
    finally:
        proxy.stop()
    yield swap_report(still, moving, control, workers)


class Paced:
    """Rounds of calls at a fixed rate, and how long the worker waited for its core in each."""

    def __init__(self, run, proxy):
        self.run, self.proxy = run, proxy
        self.samples, self.waits = [], []

    def call(self):
        with waits.recorded(self.proxy.pid, proxies.PROXY_CORE) as found:
            self.samples.append(self.run.driver.call(self.proxy, UNARY, SWAP_RATE * (SWAPS + 1), SWAP_RATE))
        self.waits.append(found)

    def cells(self):
        wrong = sum(sample.wrong for sample in self.samples)
        found = [report.number(statistics.median(getattr(sample, value) for sample in self.samples)) for value in ("p50", "p99", "p999")]
        worst = [sample.max for sample in self.samples]
        return [str(wrong), *found, report.number(statistics.median(worst)), report.spread(worst), *self.waited()]

    def waited(self):
        if waits.why_not():
            return ["", "", ""]
        others = [wait for one in self.waits for wait in one.others]
        longest = self.longest()
        return [report.number(statistics.median(longest)), report.spread(longest), report.number(max(others, default=0))]

    def longest(self):
        """µs that other threads of the process held up one call, in each round."""
        return [one.of_a_call() for one in self.waits]


def rewrite(path, tables):
    for turn in range(SWAPS):
        time.sleep(0.9)
        write_anew(path, tables[(turn + 1) % 2])


def write_anew(path, text):
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.rename(fresh, path)


def swap_report(still, moving, control, workers):
    def milliseconds(nanos):
        values = [value / 1e6 for value in nanos]
        return f"{statistics.median(values):.1f} ms ({min(values):.1f} to {max(values):.1f})"

    if why := waits.why_not():
        verdict = f"Whether that is kept is not known: who had the core was not recorded ({why})."
    else:
        delays = [longest + statistics.median(workers) / 1e3 for longest in moving.longest()]
        kept = sum(delay <= DELAY for delay in delays)
        verdict = (
            f"With what the worker itself does to follow, the call that it was longest for was delayed by {report.number(statistics.median(delays))} "
            f"µs in the median round, and by {report.number(max(delays))} in the worst: kept in {kept} of {len(delays)} rounds."
        )
    heads = [
        "", "wrong", "p50 µs", "p99", "p99.9", "slowest", "of each round", "a call held up by the process: longest µs", "of each round",
        "a wait for all else: longest µs",
    ]
    return (
        f"{SWAP_RATE:,} calls a second. Of the processor, reading a table, checking it and putting it in force took {milliseconds(control)}; "
        f"must be under 50. To follow it took the worker {milliseconds(workers)}, in steps between which calls go on. No call may be "
        "delayed by more than 2 ms by it. The slowest calls do not tell, since they are as slow in peace; the kernel's record of its switches "
        "does, by how long other threads of its process ran while the worker was ready to, in the two waits that a call has. All else is "
        f"other programs, the kernel, and time that the host gave to other machines. {verdict}\n\n"
        + report.table(heads, [["in peace", *still.cells()], [f"while it is written, {SWAPS * len(moving.samples)} times", *moving.cells()]])
    )
