"""What a run found, as Markdown."""

import datetime
import os
import platform
from pathlib import Path

from measure import ratio


def machine():
    """Cores, processor and kernel; nothing that names a host."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return f"{os.cpu_count()} cores of {model}, Linux {release}, congestion control {congestion}"


def table(heads, rows):
    """The first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values):
    return f"{number(min(values))} to {number(max(values))}"


HEAD = """# Beside its peers

Written by `just peers`; how it is done is in this folder. Compare figures within one table of one run only: the machine's speed drifts,
and the proxies take turns for that reason. Figures are medians of the rounds; *busy* is the share of the time that the proxy was on its
core while calls came as fast as they were answered, and calls/s is what came of that: where it is not near 100 %, the load's core was the
limit. Latencies are those at half the rate that Envoy carried so, in three rounds of 1.5 s: on a busy machine p99 is what a few bad
moments make of it, and p99.9 is one or two calls where calls come slowly. The last column is the median of the rounds' ratios (least to
most). *Must* and *aim* are what was promised before anything was built, and what is hoped for. A row with one wrong answer is void. Three
backends, weighted 3:2:1, but where it says otherwise.

"As packaged" is what `packaging/build` makes of Telamon: laid out by what it did with such calls as these and with others. Its peers are as
they are installed (HAProxy and nginx of Debian, Envoy of PyPI), and Pingora as cargo builds it. Where the machine's congestion control is
BBR, Telamon takes Reno on loopback, as it does for everybody (docs/performance.md); its peers take the machine's.

Each part has its own date: `just peers --only PART --write` measures one anew.
"""


def measured(kinds, build, how, cores, loads):
    """When, with what (`build`: of Telamon), on what, and how often (`how`)."""
    versions = ", ".join(f"{kind.title} {kind.version()}{build * kind.title.startswith('Telamon')}" for kind in kinds)
    proxy, ends = cores
    return (
        f"*{datetime.date.today().isoformat()}; {versions}; {machine()}, the proxy on core {proxy}, backends and load on core {ends}; "
        f"{how}; load average {loads}*\n"
    )


def work(entry, rows, titles):
    """A table for one work, and what was promised of it."""
    own = rows[0]
    lines = []
    for row in rows:
        title = titles[row.name]
        if row.void:
            lines.append([title, f"void: {row.void}"] + [""] * 7)
            continue
        costs = [sample.micros for sample in row.costs]
        cells = [title, number(row.median(lambda sample: sample.micros)), spread(costs)]
        cells += [number(row.median(lambda sample: sample.a_second)), f"{row.median(lambda sample: sample.busy):.0%}"]
        for value in ("p50", "p99", "p999"):
            cells.append(number(row.median(lambda sample: getattr(sample, value), row.paced)) if row.paced else "")
        if row is own or own.void:
            cells.append("")
        else:
            middle, least, most = ratio(own, row)
            cells.append(f"**{middle:.2f}** ({least:.2f} to {most:.2f})")
        lines.append(cells)
    rate = f"at {rows[0].rate:,.0f}/s" if rows[0].rate else ""
    heads = [
        "proxy", "CPU µs a call", "least to most", "calls/s", "busy", f"p50 µs {rate}", "p99", "p99.9", f"{titles[own.name]} ÷ it",
    ]
    notes = [entry.note] if entry.note else []
    notes += promised(entry, rows, titles)
    return table([head.strip() for head in heads], lines) + "".join(f"\n- {note}" for note in notes) + "\n"


def promised(entry, rows, titles):
    """Whether each promise is kept, in a sentence."""
    by_name = {row.name: row for row in rows}
    own = rows[0]
    for promise in entry.promises:
        peers = [by_name[name] for name in promise.peers if name in by_name and not by_name[name].void]
        if own.void or len(peers) < len(promise.peers):
            continue
        best = min(peers, key=lambda row: row.median(lambda sample: sample.micros))
        found = ratio(own, best)[0]
        words = [f"{found:.2f} × {titles[best.name]}'s CPU a call"]
        for name, most in (("must be at most", promise.must), ("aim", promise.aim)):
            if most is not None:
                words.append(f"{name} {most}: {'kept' if found <= most else 'MISSED'}")
        yield "; ".join(words)
    envoy = by_name.get("envoy")
    if envoy and envoy.paced and own.paced:
        p99 = [row.median(lambda sample: sample.p99, row.paced) for row in (own, envoy)]
        verdict = "kept" if p99[0] <= p99[1] else "MISSED"
        aim = "kept" if p99[0] <= 0.5 * p99[1] else "MISSED"
        yield f"p99 at half of what Envoy carries: {p99[0] / p99[1]:.2f} × Envoy's; must be at most 1: {verdict}; aim 0.5: {aim}"


def memory(found, titles):
    """`found`: for each held thing, KiB by proxy."""
    parts = ["KiB that each takes, from the growth of the proxy's own memory.\n\n"]
    names = list(titles)
    rows = []
    for what, sizes in found:
        cells = [what.title + "".join(f"; {name} ≤ {most}" for name, most in what.promises.items())]
        cells += [f"{sizes[name]:.1f}" if isinstance(sizes.get(name), float) else sizes.get(name, "") for name in names]
        rows.append(cells)
    parts.append(table(["KiB", *titles.values()], rows))
    for what, sizes in found:
        own = sizes.get(next(iter(titles)))
        if what.promises and isinstance(own, float):
            verdicts = (f"{name} {most}: {'kept' if own <= most else 'MISSED'}" for name, most in what.promises.items())
            parts.append(f"\n- {what.title}: {own:.1f} KiB; {'; '.join(verdicts)}")
    return "".join(parts) + "\n"


BAR = 40  # characters of what costs as much as the first


def curve(note, rows, most, drawing=None):
    """Telamon beside itself: a row a size, and how much dearer it is than the first, which may be `most` times."""
    def cost(sample):
        return sample.worker_micros

    lines, points = [], []
    for row in rows:
        if row.void or rows[0].void:
            lines.append([row.name, f"void: {row.void or 'so is the first'}", "", "", "", "", ""])
            continue
        middle, least, largest = ratio(row, rows[0], cost)
        points.append((row.name, middle, least, largest))
        lines.append([
            row.name, number(row.median(cost)), spread([cost(sample) for sample in row.costs]),
            f"{middle:.2f} ({least:.2f} to {largest:.2f})", number(row.median(lambda sample: sample.a_second)),
            f"{row.median(lambda sample: sample.aside):.1f}", "█" * round(BAR * middle),
        ])
    heads = ["", "the workers' CPU µs a call", "least to most", "× the first", "calls/s", "other threads, CPU ms a second", ""]
    verdict = ""
    if len(points) == len(rows):
        found = points[-1][1]
        verdict = f"\n- {rows[-1].name}: {found:.2f} × {rows[0].name}; must be at most {most}: {'kept' if found <= most else 'MISSED'}\n"
    shown = f"![the same as a curve](curves/{drawing})\n\n" if drawing else ""
    return f"{note}\n\n{shown}" + table(heads, lines) + verdict, points
