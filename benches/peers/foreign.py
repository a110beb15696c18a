"""The same calls by h2load and ab: they check less, and say whether our own load bends the figures."""

import re

from measure import pinned_run

TEXT = "q" * 39  # the request of `ends/src/answer.rs`
ANSWER = 45  # bytes of the answer in gRPC's frame
SECONDS = 600


def loads(directory):
    """A driver's way of calling, with its request bodies in `directory`."""
    json, frame = directory / "request.json", directory / "request.bin"
    json.write_text('{"text":"%s"}' % TEXT)
    message = b"\x0a\x27" + TEXT.encode()
    frame.write_bytes(bytes([0, 0, 0, 0, len(message)]) + message)

    def call(work, port, calls):
        url = f"http://127.0.0.1:{port}"
        if work.foreign == "ab":
            told = pinned_run(
                ["ab", "-q", "-n", calls, "-c", work.connections, "-p", json, "-T", "application/json", url + "/v1/echo"], SECONDS
            )
            return _found(told, calls, _ab(told), r"Time taken for tests: +([0-9.]+) seconds")
        told = pinned_run(
            [
                "h2load", "-n", calls, "-c", work.connections, "-m", work.streams, "-d", frame,
                "-H", "content-type: application/grpc", "-H", "te: trailers", url + "/bench.v1.Bench/Echo",
            ],
            SECONDS,
        )
        return _found(told, calls, _h2load(told), r"finished in ([0-9.]+)(ms|us|s)")

    return call


def _ab(told):
    complete = re.search(r"Complete requests: +(\d+)", told)
    bad = re.search(r"Failed requests: +[1-9]|Non-2xx", told)
    return int(complete.group(1)) if complete and not bad else 0


def _h2load(told):
    """A call that a proxy refuses by gRPC is a 200 as well, but brings no message."""
    answered = int(re.search(r"(\d+) 2xx", told).group(1))
    brought = int(re.search(r"\((\d+)\) data", told).group(1))
    return min(answered, brought // ANSWER)


def _found(told, calls, good, seconds):
    took = re.search(seconds, told)
    unit = {"us": 1e-6, "ms": 1e-3}.get(took.group(2) if took.lastindex > 1 else "s", 1)
    why = "" if good == calls else told.strip().splitlines()[-1]
    return dict(calls=calls, wrong=calls - good, why=why, seconds=float(took.group(1)) * unit, p50=0, p99=0, p999=0, max=0)
