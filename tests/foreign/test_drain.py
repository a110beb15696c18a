"""SIGTERM drains: nobody new, and everybody who is in flight to the end."""

import signal
import socket
import subprocess
import time

import grpc
import pytest
from harness import HTTP10, PATIENCE, TELAMON, Telamon, curl, free_port, until
from probe.v1 import probe_pb2, probe_pb2_grpc

Ask = probe_pb2.Ask


@pytest.fixture
def own(tmp_path_factory, directory, servlet, key):
    """A Telamon that the test may end."""
    telamon = Telamon(directory / key[:6])
    telamon.write("servlets/probe.yaml", "schema: ../protos/probe.proto\nservices: [probe.v1.Probe]\n")
    telamon.table("probe", {servlet.replicas["r1"]: 1})
    telamon.start()
    try:
        yield telamon
    finally:
        telamon.stop()


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_drain_lets_calls_in_flight_finish(own, servlet, key, number):
    channel = grpc.insecure_channel(own.authority)
    stub = probe_pb2_grpc.ProbeStub(channel)
    stream = stub.Expand(Ask(key=key, count=2, hold=True), timeout=30)
    assert [next(stream).index, next(stream).index] == [0, 1]
    unary = stub.Unary.future(Ask(key=key, text="slow", hold=True), timeout=30)
    url = f"{own.url}/v1/ask?key={key}&text=old&hold=true"
    old = subprocess.Popen(["curl", "-sS", *HTTP10, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    idle = socket.create_connection(("127.0.0.1", own.port), timeout=PATIENCE)
    idle.sendall(b"GET /v1/ask HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(65536).startswith(b"HTTP/1.1 200")
    until("all three are at the servlet", lambda: servlet.count(key, "start") == 3)

    own.signal(number)
    until("/readyz says 503", lambda: own.admin_status("/readyz") == 503)
    assert own.admin_status("/livez") == 200
    until("new connections are refused", lambda: refused(own.port))
    # A connection with nothing to do is closed, and not held for thirty seconds.
    assert idle.recv(65536) == b""
    idle.close()
    assert own.process.poll() is None and not unary.done()

    servlet.ask("release", key=key)
    assert list(stream) == [] and stream.code() is grpc.StatusCode.OK
    assert unary.result().text == "slow"
    body, complaint = old.communicate(timeout=PATIENCE)
    assert old.returncode == 0 and b'"old"' in body, complaint
    assert own.process.wait(PATIENCE) == 0
    channel.close()


def test_an_idle_process_ends_at_once(own):
    assert curl(*HTTP10, own.url + "/v1/ask").status == 200
    began = time.monotonic()
    own.signal(signal.SIGTERM)
    assert own.process.wait(PATIENCE) == 0
    assert time.monotonic() - began < 5


def test_a_second_signal_ends_at_once(own, servlet, key):
    with grpc.insecure_channel(own.authority) as channel:
        call = probe_pb2_grpc.ProbeStub(channel).Unary.future(Ask(key=key, hold=True), timeout=40)
        servlet.wait(key, "start")
        own.signal(signal.SIGTERM)
        until("/readyz says 503", lambda: own.admin_status("/readyz") == 503)
        assert own.process.poll() is None
        own.signal(signal.SIGTERM)
        assert own.process.wait(PATIENCE) == 0
        assert call.code() is not grpc.StatusCode.OK
    servlet.wait(key, "cancelled")


def test_a_drain_has_a_limit(own, servlet, key):
    """`limits.drain`, so that one stream without an end does not hold the process for ever."""
    own.stop()
    text = (own.directory / "telamon.yaml").read_text()
    own.write("telamon.yaml", text + "limits: { drain: 1s }\n")
    own.start()
    with grpc.insecure_channel(own.authority) as channel:
        call = probe_pb2_grpc.ProbeStub(channel).Unary.future(Ask(key=key, hold=True), timeout=40)
        servlet.wait(key, "start")
        began = time.monotonic()
        own.signal(signal.SIGTERM)
        assert own.process.wait(PATIENCE) == 0
        assert 0.9 < time.monotonic() - began < 5
        assert call.code() is grpc.StatusCode.UNAVAILABLE


def test_callers_get_a_whole_answer_or_no_connection_while_it_drains(own):
    """Calls accepted before the signal are answered; each later one is refused as a connection, and never half served."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{exitcode}", *HTTP10, f"{own.url}/v1/ask?delayMs=300"]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(30)]
    until("calls are in flight", lambda: own.endpoints("probe")[0]["in_flight"] > 3)
    own.signal(signal.SIGTERM)
    results = {caller.communicate(timeout=20)[0] for caller in callers}
    # 7: connection refused.
    assert "200 0" in results and results <= {"200 0", "000 7"}
    assert own.process.wait(PATIENCE) == 0


def test_an_address_in_use_ends_the_start_with_its_name(own, tmp_path):
    other = Telamon(tmp_path / "other")
    other.write("servlets/probe.yaml", 'services: ["*"]\n')
    other.table("probe", {"127.0.0.1:1": 1})
    text = (other.directory / "telamon.yaml").read_text().replace(f":{other.port}\n", f":{own.port}\n")
    other.write("telamon.yaml", text)
    done = subprocess.run([TELAMON, "run", "--config", other.directory / "telamon.yaml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert own.authority in done.stdout + done.stderr


def test_any_error_at_start_ends_it_and_all_are_told_at_once(tmp_path):
    telamon = Telamon(tmp_path / "broken")
    telamon.write("servlets/a.yaml", "servicess: [x.Y]\n")
    telamon.write("servlets/b.yaml", 'services: ["*"]\n')
    telamon.table("b", {f"127.0.0.1:{free_port()}": -1})
    for command in ("run", "check"):
        done = subprocess.run([TELAMON, command, "--config", telamon.directory / "telamon.yaml"], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert "a.yaml:1:1" in done.stdout + done.stderr and "b.yaml:2:" in done.stdout + done.stderr
