"""Starts what the tests need, and speaks to it: the servlet, Telamon itself, curl and the load generators."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("FOREIGN_BUILD", ROOT / "target" / "foreign"))
GENERATED = BUILD / "generated"
# The schema with all that it imports, for clients that make their code from it as they run.
DESCRIPTORS = BUILD / "probe.binpb"
PROTO = HERE / "proto" / "probe" / "v1" / "probe.proto"
TELAMON = Path(os.environ.get("TELAMON_BIN", ROOT / "target" / "release" / "telamon"))

# How long a test waits for what must come before it calls it missing. Far above what anything takes on two busy cores.
PATIENCE = 10.0


def until(what, check, limit=PATIENCE, every=0.005):
    """Waits until `check` gives something true, and gives that; fails with `what` is missing after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}; last seen: {found!r}")
        time.sleep(every)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rss(pid):
    """Resident memory in bytes."""
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


class Servlet:
    """The servlet process and its replicas."""

    def __init__(self, *replicas):
        environment = os.environ | {"FOREIGN_GENERATED": str(GENERATED)}
        self.process = subprocess.Popen(
            [sys.executable, HERE / "servlet.py", *replicas], stdout=subprocess.PIPE, env=environment, text=True
        )
        hello = json.loads(self.process.stdout.readline())
        self.replicas = hello["replicas"]
        self.socket = socket.create_connection(("127.0.0.1", hello["control"]), timeout=60)
        self.lines = self.socket.makefile()

    def ask(self, do, **more):
        self.socket.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
        return json.loads(self.lines.readline())

    def seen(self, key):
        return self.ask("seen", key=key)

    def wait(self, key, event):
        """Waits for an event of a call, and gives it."""
        events = self.ask("wait", key=key, event=event, limit=PATIENCE)
        found = [seen for seen in events if seen["event"] == event]
        assert found, f"the servlet saw no {event!r} of {key}: {[seen['event'] for seen in events]}"
        return found[0]

    def count(self, key, event):
        return sum(seen["event"] == event for seen in self.seen(key))

    def served(self):
        """Calls that ended well, by replica."""
        return self.ask("served")

    def stop(self):
        self.lines.close()
        self.socket.close()
        self.process.terminate()
        self.process.wait(PATIENCE)


class QuickServlet:
    """Replicas in Node that work for a fixed time, and count their calls."""

    def __init__(self, replicas, milliseconds):
        command = ["node", HERE / "node" / "servlet.js", str(replicas), str(milliseconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses = json.loads(self.process.stdout.readline())

    def served(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Telamon:
    """A Telamon process with a configuration directory of its own."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.port, self.admin_port = free_port(), free_port()
        self.unix = self.directory / "in.sock"
        self.log_path = self.directory / "telamon.log"
        self.process = None
        for name in ("servlets", "endpoints", "protos"):
            (self.directory / name).mkdir(parents=True)
        shutil.copy(PROTO, self.directory / "protos" / "probe.proto")
        self.write(
            "telamon.yaml",
            f"""
workers: 2
listeners:
  - name: ingress
    address: 127.0.0.1:{self.port}
    default_host: legacy.internal
  - name: local
    address: unix:{self.unix}
admin:
  address: 127.0.0.1:{self.admin_port}
servlets: servlets/
access_log: access.log
""",
        )

    @property
    def authority(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.authority}"

    def write(self, path, text):
        (self.directory / path).write_text(text.lstrip("\n"))

    def table(self, name, weights):
        """Writes an endpoint table: weights by address."""
        self.write(f"endpoints/{name}.yaml", table_text(weights))

    def start(self):
        log = self.log_path.open("a")
        self.process = subprocess.Popen(
            [TELAMON, "run", "--config", self.directory / "telamon.yaml"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        log.close()
        until("/readyz says 200", self.is_ready)
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"telamon ended with {self.process.returncode}:\n{self.log()}"
        return self.admin_status("/readyz") == 200

    def admin_status(self, path):
        """The status of an admin page, or None when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def admin(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=PATIENCE) as answer:
            return json.load(answer)

    def metrics(self):
        """Every series by its name and labels as they are written."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def total(self, metric, **labels):
        """The sum of a metric's series that bear these labels."""
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        return sum(
            value
            for series, value in self.metrics().items()
            if series.split("{")[0] == metric and all(label in series for label in wanted)
        )

    def servlets(self):
        """The names of all servlets."""
        answer = self.admin("/api/v1/servlets")
        return [servlet["name"] for servlet in (answer["servlets"] if isinstance(answer, dict) else answer)]

    def endpoints(self, servlet):
        answer = self.admin(f"/api/v1/servlets/{servlet}/endpoints")
        return answer["endpoints"] if isinstance(answer, dict) else answer

    def weights(self, servlet):
        """Configured weights by address, as the admin API shows them."""
        return {endpoint["address"]: endpoint["configured_weight"] for endpoint in self.endpoints(servlet)}

    def reloads(self):
        answer = self.admin("/api/v1/reloads")
        return answer["reloads"] if isinstance(answer, dict) else answer

    def log(self):
        return self.log_path.read_text()

    def rss(self):
        return rss(self.process.pid)

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it, and tells its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
        return self.process.wait()


def table_text(weights):
    if not weights:
        return "endpoints: []\n"
    return "endpoints:\n" + "".join(f"  - {{ address: '{address}', weight: {weight} }}\n" for address, weight in weights.items())


class Reply:
    """What curl or a raw socket got."""

    def __init__(self, head, body, exit_code=0, complaint=b""):
        self.body, self.exit_code, self.complaint = body, exit_code, complaint
        self.version, self.status, self.headers = None, None, {}
        if head is None:
            return
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        self.version, self.status = first.split(" ")[0], int(first.split(" ")[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())

    def __getitem__(self, name):
        """A header's only value, or None."""
        values = self.headers.get(name, [None])
        assert len(values) == 1, f"{name} is there {len(values)} times: {values}"
        return values[0]

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        complaint = f", {self.complaint.decode(errors='replace').splitlines()[-1:]}" if self.exit_code else ""
        return f"<{self.version} {self.status} {self.headers} {self.body[:500]!r} exit {self.exit_code}{complaint}>"


def curl(*arguments, stdin=None, limit=20):
    """Runs curl, and gives the last head that it got, and all bodies. No status: it got no head."""
    command = ["curl", "-sS", "--max-time", str(limit), "-D", "/dev/stderr", "-H", "User-Agent: foreign", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True)
    # Interim heads come first; what curl itself has to say comes after the last head.
    heads = re.findall(rb"HTTP/[\d.]+ \d{3}.*?\r\n\r\n", done.stderr, re.DOTALL)
    assert heads or done.returncode, done
    return Reply(heads[-1] if heads else None, done.stdout, done.returncode, done.stderr)


HTTP10 = ("--http1.0",)
HTTP11 = ("--http1.1",)
HTTP2 = ("--http2-prior-knowledge",)


def split_reply(data):
    """A whole raw answer, up to the end of the connection."""
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, f"no whole head: {data[:500]!r}"
    return Reply(head, body)


def raw(port, request, half_close=False):
    """Sends bytes, reads to the end of the connection. A reset is an error, as it must be."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return split_reply(read_all(connection))


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def reset_on_close(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def netcat(port, request):
    """Sends a request by nc, which closes its half at the end of it."""
    done = subprocess.run(["nc", "-N", "127.0.0.1", str(port)], input=request, capture_output=True, timeout=20)
    assert done.returncode == 0, done
    return split_reply(done.stdout)


def framed(message, compressed=0):
    """A gRPC message as it goes over the wire."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">BI", compressed, len(data)) + data


class Load:
    """What a load generator reported."""

    def __init__(self, command, output, sent, failed):
        self.command, self.output, self.sent, self.failed = command, output, sent, failed

    def check(self, expected):
        assert self.failed == 0 and self.sent == expected, f"{self.command}\n{self.output}"
        return self


def ab(url, number, at_a_time, *more):
    """ApacheBench: HTTP/1.0. A call counts as failed unless it is a 2xx of the same length as the first."""
    command = ["ab", "-q", "-n", str(number), "-c", str(at_a_time), "-s", "20", *more, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text

    def read(name):
        found = re.search(rf"{name}:\s+(\d+)", text)
        return int(found[1]) if found else 0

    failed = read("Failed requests") + read("Write errors") + read("Non-2xx responses")
    return Load(command, text, read("Complete requests"), failed)


def h2load(url, body, number, connections, streams, *more):
    """h2load, sending one gRPC message a call. It sees HTTP statuses alone, so let the servlet count the calls that went well."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(framed(body))
        file.flush()
        command = ["h2load", "-n", str(number), "-c", str(connections), "-m", str(streams), "-d", file.name]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers", *more, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    succeeded, *failed = map(int, counts.groups())
    good, *bad = map(int, statuses.groups())
    return Load(command, text, min(succeeded, good), sum(failed) + sum(bad))


@contextlib.contextmanager
def running(process):
    """Ends a process, or anything with a `stop`, at the end of a block."""
    try:
        yield process
    finally:
        process.stop()
