"""What is measured side by side, and what was promised of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Promise:
    """A call costs at most `must` times what it costs the cheapest of these peers; `aim` is what we are after."""

    peers: tuple
    must: float | None
    aim: float | None = None


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    call: str  # as `ends/src/answer.rs` names it
    protocol: str
    connections: int
    streams: int
    port: str  # which of a proxy's ports takes it
    share: float = 1.0  # of the number of calls asked for: some are a thousand times dearer
    promises: tuple = ()
    foreign: str | None = None  # the tool that can make these calls as well
    paced: bool = True  # whether calls are also made at a fixed rate: not where one is a thousand messages
    note: str = ""
    path: str = ""  # instead of the call's own
    warm: int = 0  # calls of the first round, where those of the others do not get everything going


WORKS = (
    Work(
        "unary", "gRPC to gRPC, unary, 8 connections × 16 streams, 46-byte request",
        "echo", "http2", 8, 16, "grpc", foreign="h2load",
        promises=(
            Promise(("envoy",), 0.25), Promise(("pingora",), 0.5), Promise(("haproxy",), 1.3, 0.8),
        ),
    ),
    Work(
        "single", "gRPC to gRPC, unary, 1 connection × 1 stream",
        "echo", "http2", 1, 1, "grpc", share=0.25, foreign="h2load",
        promises=(Promise(("envoy",), 0.5), Promise(("nginx",), 1.1, 0.8)),
    ),
    Work(
        "stream", "gRPC server streaming, 1,000 messages of 1 KiB a call, 8 connections × 2 streams",
        "stream", "http2", 8, 2, "grpc", share=0.02, paced=False,
        promises=(Promise(("envoy",), 0.4), Promise(("haproxy",), None, 1.0)),
    ),
    Work(
        "json", "HTTP/1.1 JSON to gRPC, 32 connections",
        "json", "http11", 32, 1, "json",
        promises=(Promise(("envoy",), 0.2, 0.1),),
        note="HAProxy, nginx and Pingora cannot translate.",
    ),
    Work(
        "http10", "HTTP/1.0 JSON to gRPC, a connection a call, 32 at a time",
        "json", "http10", 32, 1, "json", share=0.5, foreign="ab",
        promises=(Promise(("envoy",), 0.3, 0.2),),
        note="HAProxy, nginx and Pingora cannot translate.",
    ),
    Work(
        "plain", "HTTP/1.1 to HTTP/1.1, 32 connections",
        "plain", "http11", 32, 1, "plain",
        promises=(Promise(("haproxy", "nginx"), 1.1, 0.9),),
    ),
    Work(
        "blob", "gRPC to gRPC, 1 MiB there and 1 MiB back, 4 connections × 1 stream",
        "blob", "http2", 4, 1, "grpc", share=0.02, paced=False,
        promises=(Promise(("envoy",), 0.5), Promise(("haproxy",), None, 1.0)),
        note="Twice the bytes a CPU second is half the CPU a call.",
    ),
    Work(
        "http-body", "HTTP/1.1 to gRPC `google.api.HttpBody`, 1 MiB there and 1 MiB back, 4 connections",
        "http_body", "http11", 4, 1, "json", share=0.02, paced=False,
        promises=(Promise(("envoy",), 0.5),),
        note="HAProxy, nginx and Pingora cannot translate.",
    ),
)


@dataclass(frozen=True)
class Held:
    """Something that stands still and takes memory."""

    title: str
    call: str
    protocol: str
    port: str
    counts: tuple  # memory is what lies between these two
    promises: dict = field(default_factory=dict)  # KiB


MEMORY = (
    Held("an idle HTTP/1.1 connection, after a call", "plain", "http11", "plain", (500, 2500), {"must": 7, "aim": 3}),
    Held("an idle HTTP/2 connection, after a call", "echo", "http2", "grpc", (500, 2500), {"must": 7, "aim": 3}),
    Held("a gRPC call in flight, 20 connections", "hold", "http2", "grpc", (200, 1000)),
)

MEMORY_TITLE = "Memory"


@dataclass(frozen=True)
class Alone:
    """A part of a run that compares Telamon with itself; `scale.py` has them."""

    name: str
    about: str
    titles: tuple


ALONE = (
    Alone("workers", "two workers against one", ("Two workers against one",)),
    Alone(
        "endpoints", "a call with 10 to 10,000 endpoints",
        ("Endpoints of one servlet, three of which carry the traffic", "Endpoints of one servlet, all of one weight"),
    ),
    Alone("servlets", "a call with 10 to 10,000 servlets, and what they cost while nobody calls", ("Servlets",)),
    Alone("routes", "a call with 10 to 10,000 routes", ("Routes of one servlet",)),
    Alone("swap", "a table of 10,000 endpoints written anew under load", ("A table of 10,000 endpoints, written anew under load",)),
)


def titles():
    """Of everything that a whole run finds, in its order."""
    return [work.title for work in WORKS] + [MEMORY_TITLE] + [title for part in ALONE for title in part.titles]
