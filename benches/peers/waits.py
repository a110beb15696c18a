"""Who had the core while a worker was ready to run: the kernel's own record of its switches (ftrace). It wants root."""

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import measure
from proxies import Failed

TRACING = Path("/sys/kernel/tracing")
BUFFER_KIB = 16_384  # a core; a round writes a tenth of it
LINE = re.compile(r" ([\d.]+): sched_(switch|wakeup): .*?(?:prev_pid|[^_]pid)=(\d+) .*?(?:prev_state=(\S+) ==> .*next_pid=(\d+)|$)")


@dataclass
class Waits:
    """Microseconds, of each wait of a worker."""

    held_up: list = field(default_factory=list)  # of it, another thread of the same process ran
    others: list = field(default_factory=list)  # the rest: other programs, the kernel, and a machine that was not there


def threads(pid, named=""):
    """Ids by which the kernel knows them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(task.name) for task in tasks if (task / "comm").read_text().startswith(named)}


def why_not():
    """Why there can be no record, if so."""
    return None if os.access(TRACING / "instances", os.W_OK) else f"{TRACING} is not there, or not ours to write"


@contextmanager
def recorded(pid, core):
    """The waits of the one worker of `pid`, which runs on `core`: found when this is left, and none where there can be no record."""
    waits = Waits()
    if why_not():
        yield waits
        return
    (worker,) = threads(pid, measure.WORKERS)
    place = TRACING / "instances" / f"telamon-peers-{os.getpid()}"

    def put(name, value):
        (place / name).write_text(f"{value}\n")

    place.mkdir()
    try:
        put("buffer_size_kb", BUFFER_KIB)
        put("trace_clock", "mono")
        put("events/sched/sched_switch/filter", f"CPU == {core}")
        # Whoever wakes it may do so from another core.
        put("events/sched/sched_wakeup/filter", f"pid == {worker}")
        for event in ("switch", "wakeup"):
            put(f"events/sched/sched_{event}/enable", 1)
        yield waits
        put("tracing_on", 0)
        lost = re.compile(r"^overrun: [1-9]", re.MULTILINE)
        if any(lost.search(stats.read_text()) for stats in place.glob("per_cpu/cpu*/stats")):
            raise Failed("the kernel's record of its switches is not whole")
        read((place / "trace").read_text(), worker, threads(pid) - {worker}, waits)
    finally:
        place.rmdir()


def read(text, worker, own, waits):
    """Adds the waits of `worker` by a trace; `own` are the other threads of its process."""
    runs, since = None, 0.0
    ready, held_up = None, 0.0  # since when it has been ready without running, and how long `own` ran meanwhile
    for line in text.splitlines():
        found = LINE.search(line)
        if not found:
            continue
        at = float(found[1]) * 1e6
        if found[2] == "wakeup":
            if runs != worker and ready is None:
                ready, held_up = at, 0.0
            continue
        before, state, after = int(found[3]), found[4], int(found[5])
        if ready is not None and before in own:
            held_up += at - max(since, ready)
        if before == worker and state.startswith("R"):
            ready, held_up = at, 0.0
        if after == worker and ready is not None:
            waits.held_up.append(held_up)
            waits.others.append(at - ready - held_up)
            ready = None
        runs, since = after, at
