"""Who had the core while a worker was ready to run: the kernel's own record of its switches (ftrace). It wants root."""

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import measure
from proxies import Failed

TRACING = Path("/sys/kernel/tracing")
BUFFER_KIB = 8_192  # on each core; a round writes a tenth of it
LEAST_WAITS = 100  # in a round of thousands of calls; a record with fewer is none
NUMBER = r"(\d+)"
LINE = re.compile(
    r" ([\d.]+): sched_(?:"
    rf"(switch): .* prev_pid={NUMBER} .* prev_state=(\S+) ==> .* next_pid={NUMBER} |"
    rf"(wakeup): .* pid={NUMBER} |"
    rf"(stat_runtime): .* pid={NUMBER} runtime={NUMBER})"
)


@dataclass
class Waits:
    """Microseconds, of each wait of a worker."""

    held_up: list = field(default_factory=list)  # of it, other threads of the same process ran
    others: list = field(default_factory=list)  # the rest: other programs, the kernel, and time the host gave to other machines

    def of_a_call(self):
        """The longest that one call was held up: a worker runs for its request, and again for its reply."""
        return max(map(sum, zip(self.held_up, self.held_up[1:])), default=0)


def threads(pid, named=""):
    """Ids by which the kernel knows them."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text().startswith(named):
                found.add(int(task.name))
        except OSError:
            pass  # it ended meanwhile
    return found


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
        put("events/sched/sched_stat_runtime/filter", f"CPU == {core}")
        # Whoever wakes it may do so from another core.
        put("events/sched/sched_wakeup/filter", f"pid == {worker}")
        before = threads(pid)
        for event in ("switch", "wakeup", "stat_runtime"):
            put(f"events/sched/sched_{event}/enable", 1)
        yield waits
        put("tracing_on", 0)
        lost = re.compile(r"^overrun: [1-9]", re.MULTILINE)
        if any(lost.search(stats.read_text()) for stats in place.glob("per_cpu/cpu*/stats")):
            raise Failed("the kernel's record of its switches is not whole")
        read((place / "trace").read_text(), worker, (before | threads(pid)) - {worker}, waits)
        if len(waits.held_up) < LEAST_WAITS:
            raise Failed(f"the kernel recorded {len(waits.held_up)} waits of the worker: its record cannot be read, or is of other ids")
    finally:
        place.rmdir()


def read(text, worker, own, waits):
    """Adds the waits of `worker` by a trace; `own` are the other threads of its process. A sleep that is not to be woken from (state D: on a
    page, or a lock of the kernel) is a wait as well. How long `own` ran is the kernel's count, without what it
    knows that the host took."""
    running, ready, held_up = None, None, 0.0  # `ready`: since when it has been so without running
    for line in text.splitlines():
        found = LINE.search(line)
        if not found:
            continue
        at, switch, before, state, after, wakeup, _, ran, who, nanos = found.groups()
        at = float(at) * 1e6
        if wakeup and running != worker and ready is None:
            ready, held_up = at, 0.0
        elif ran and ready is not None and int(who) in own:
            held_up += int(nanos) / 1e3
        elif switch:
            if int(before) == worker:
                ready, held_up = (at if state[0] in "RD" else None), 0.0
            if int(after) == worker and ready is not None:
                held_up = min(held_up, at - ready)
                waits.held_up.append(held_up)
                waits.others.append(at - ready - held_up)
                ready = None
            running = int(after)
