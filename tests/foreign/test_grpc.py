"""grpcio as the caller, and as the servlet: all four kinds of streaming go through as if nobody stood between."""

import gzip
import json
import queue
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import google.api
import grpc
import pytest
from google.rpc import status_pb2
from probe.v1 import probe_pb2, probe_pb2_grpc

import harness

Ask = probe_pb2.Ask
UNARY = "/probe.v1.Probe/Unary"
MIB = 1 << 20


def channel(address, **options):
    plain = {"grpc.max_receive_message_length": 8 * MIB, "grpc.use_local_subchannel_pool": 1}
    options = plain | {name.replace("__", "."): value for name, value in options.items()}
    return grpc.insecure_channel(address, options=list(options.items()))


@pytest.fixture
def stub(telamon):
    with channel(telamon.authority) as it:
        yield probe_pb2_grpc.ProbeStub(it)


def as_host(telamon, host):
    """A stub that calls another virtual host."""
    return probe_pb2_grpc.ProbeStub(channel(telamon.authority, grpc__default_authority=host))


def asks(key, number, **more):
    return [Ask(key=key, text=f"t{index}", **more) for index in range(number)]


def test_unary_calls_reach_every_replica(stub):
    answers = [stub.Unary(Ask(text=f"t{index}"), timeout=10) for index in range(30)]
    assert [answer.text for answer in answers] == [f"t{index}" for index in range(30)]
    assert {answer.replica for answer in answers} == {"r1", "r2", "r3"}


def test_server_streams_arrive_in_order_and_whole(stub, servlet, key):
    answers = list(stub.Expand(Ask(key=key, count=200, text="x"), timeout=10))
    assert [answer.index for answer in answers] == list(range(200))
    assert len({answer.replica for answer in answers}) == 1
    servlet.wait(key, "ok")


def test_client_streams_arrive_in_order_and_whole(stub, servlet, key):
    answer = stub.Collect(iter(asks(key, 200)), timeout=10, metadata=[("x-key", key)])
    assert answer.text == ",".join(f"t{index}" for index in range(200))
    assert servlet.count(key, "received") == 200


def test_bidi_streams_answer_each_message_before_the_next_is_sent(stub, servlet, key):
    """A proxy that gathers either way would stand still here for ever."""
    outgoing = queue.Queue()
    call = stub.Chat(iter(outgoing.get, None), timeout=20, metadata=[("x-key", key)])
    for index in range(100):
        outgoing.put(Ask(text=f"ping {index}"))
        assert next(call).text == f"ping {index}"
    assert servlet.count(key, "received") == 100
    outgoing.put(None)
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK
    servlet.wait(key, "ok")


def test_a_server_stream_begins_before_it_ends(stub, servlet, key):
    call = stub.Expand(Ask(key=key, count=3, hold=True), timeout=20)
    assert [next(call).index for _ in range(3)] == [0, 1, 2]
    assert servlet.count(key, "end") == 0
    servlet.ask("release", key=key)
    assert list(call) == []


def test_empty_streams_and_empty_messages_are_kept(stub, servlet, key):
    assert list(stub.Expand(Ask(count=0), timeout=10)) == []
    assert stub.Collect(iter([]), timeout=10).index == 0
    assert list(stub.Chat(iter([]), timeout=10)) == []
    assert stub.Collect(iter([Ask(), Ask()]), timeout=10).index == 2


def test_metadata_and_trailers_pass_both_ways(stub, servlet, key):
    sent = [("x-key", key), ("x-plain", "one"), ("x-many", "a"), ("x-many", "b"), ("x-raw-bin", b"\x00\xff\x10")]
    sent += [("x-echo-word", "yes"), ("x-echo-raw-bin", b"\x00\x01\xfe")]
    answer, call = stub.Unary.with_call(Ask(text="m"), timeout=10, metadata=sent)
    head, trailers = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert answer.text == "m"
    assert head["x-head-word"] == "yes" and head["x-head-raw-bin"] == b"\x00\x01\xfe"
    assert trailers["x-trailer-word"] == "yes" and trailers["x-trailer-raw-bin"] == b"\x00\x01\xfe"
    seen = servlet.wait(key, "start")["metadata"]
    assert seen["x-plain"] == ["one"] and seen["x-many"] == ["a", "b"] and seen["x-raw-bin"] == ["00ff10"]
    assert seen["user-agent"][0].startswith("grpc-python/")


def test_metadata_arrives_before_the_first_message(stub, servlet, key):
    release = threading.Event()
    call = stub.Collect.future(iter_held(key, release), timeout=20, metadata=[("x-key", key), ("x-plain", "1")])
    assert servlet.wait(key, "start")["metadata"]["x-plain"] == ["1"]
    release.set()
    assert call.result().index == 1


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=lambda code: code.name)
def test_every_status_comes_back_as_the_servlet_gave_it(stub, servlet, key, code):
    message = "naïve: 100 % »wrong«\nsecond line"
    with pytest.raises(grpc.RpcError) as raised:
        stub.Unary(Ask(key=key, fail_code=code.value[0], fail_message=message), timeout=10)
    assert raised.value.code() is code
    assert raised.value.details() == message
    servlet.wait(key, "failed")
    # A servlet's own error is an answer like any other: it is never tried again elsewhere.
    assert servlet.count(key, "start") == 1


def test_rich_details_come_back_byte_for_byte(stub):
    with pytest.raises(grpc.RpcError) as raised:
        stub.Unary(Ask(fail_code=9, fail_message="not now", notes=["first", "zweite €"]), timeout=10)
    details = dict(raised.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    note = probe_pb2.Note()
    texts = [note.text for detail in status.details if detail.Unpack(note)]
    assert (status.code, status.message, texts) == (9, "not now", ["first", "zweite €"])


def test_a_stream_that_fails_midway_keeps_its_messages_and_its_status(stub):
    call = stub.Expand(Ask(count=5, fail_code=15, fail_message="lost", notes=["n"]), timeout=10)
    indices = []
    with pytest.raises(grpc.RpcError) as raised:
        for answer in call:
            indices.append(answer.index)
    assert indices == [0, 1, 2, 3, 4]
    assert raised.value.code() is grpc.StatusCode.DATA_LOSS and raised.value.details() == "lost"
    assert "grpc-status-details-bin" in dict(raised.value.trailing_metadata())


def test_an_unknown_method_is_unimplemented(telamon):
    with channel(telamon.authority) as it:
        for path in ("/probe.v1.Probe/Nothing", "/probe.v1.Nobody/Unary"):
            with pytest.raises(grpc.RpcError) as raised:
                it.unary_unary(path)(b"", timeout=10)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED, path


def test_gzip_passes_both_ways(stub):
    text = "compress me " * 5000
    answer = stub.Unary(Ask(text=text, gzip=True), timeout=10, compression=grpc.Compression.Gzip)
    assert answer.text == text
    collected = stub.Collect(iter([Ask(text=text)] * 3), timeout=10, compression=grpc.Compression.Gzip)
    assert collected.text == ",".join([text] * 3)


def test_compressed_messages_are_not_touched(telamon, tmp_path):
    """Seen on the wire: the flag of the message and the headers are those that the two ends wrote."""
    body = tmp_path / "body"
    asked = Ask(text="z" * 1000, gzip=True)
    body.write_bytes(harness.framed(gzip.compress(asked.SerializeToString()), compressed=1))
    headers = ["content-type: application/grpc", "te: trailers", "grpc-encoding: gzip", "grpc-accept-encoding: gzip"]
    reply = harness.curl(
        *harness.HTTP2, *(f"-H{header}" for header in headers), "--data-binary", f"@{body}", telamon.url + UNARY
    )
    assert reply.status == 200 and reply["grpc-encoding"] == "gzip"
    assert reply.body[0] == 1
    length = int.from_bytes(reply.body[1:5], "big")
    assert len(reply.body) == 5 + length < 200
    assert probe_pb2.Answer.FromString(gzip.decompress(reply.body[5:])).text == "z" * 1000


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 65536, 3 * MIB], ids=str)
def test_messages_of_every_size_pass_both_ways(stub, size):
    payload = bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    answer = stub.Unary(Ask(payload=payload), timeout=20)
    assert answer.payload == payload and answer.length == size


def test_a_deadline_goes_upstream_and_is_shorter_there(stub, servlet, key):
    stub.Unary(Ask(key=key), timeout=3)
    remaining = servlet.wait(key, "start")["remaining"]
    # grpcio rounds what it writes up by a little.
    assert 0.5 < remaining <= 3.05


def test_a_deadline_of_the_route_that_is_shorter_wins(telamon, servlet, key):
    as_host(telamon, "hasty.example").Unary(Ask(key=key), timeout=30)
    assert servlet.wait(key, "start")["remaining"] <= 0.4


def test_time_already_spent_is_taken_off_the_deadline(telamon, servlet, key):
    """The body of a REST call comes slowly; the servlet is told what is left then."""
    body = b'{"key":"%s"}' % key.encode()
    head = b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", telamon.port), timeout=10) as connection:
        connection.sendall(head % len(body) + body[:5])
        time.sleep(1)
        connection.sendall(body[5:])
        assert harness.split_reply(harness.read_all(connection)).status == 200
    # Unary calls have 15 s.
    assert 5 < servlet.wait(key, "start")["remaining"] <= 14.1


def test_a_call_out_of_time_ends_and_the_servlet_sees_it(stub, servlet, key):
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as raised:
        stub.Unary(Ask(key=key, delay_ms=20_000), timeout=0.4)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    servlet.wait(key, "cancelled")
    assert time.monotonic() - began < 5


def test_telamon_itself_ends_a_call_out_of_time(telamon, servlet, key, tmp_path):
    """curl has no timer of its own here: the status can come from nobody but Telamon or the servlet."""
    body = tmp_path / "body"
    body.write_bytes(harness.framed(Ask(key=key, delay_ms=20_000)))
    headers = ["content-type: application/grpc", "te: trailers", "grpc-timeout: 300m"]
    reply = harness.curl(
        *harness.HTTP2, *(f"-H{header}" for header in headers), "--data-binary", f"@{body}", telamon.url + UNARY
    )
    assert reply.status == 200 and reply["grpc-status"] == "4" and reply.body == b""
    servlet.wait(key, "cancelled")
    assert servlet.wait(key, "start")["remaining"] <= 0.3


def test_a_servlet_that_hangs_is_given_up_in_time(telamon, key):
    """It accepts connections, and never says a word."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        telamon.table("deaf", {f"127.0.0.1:{deaf.getsockname()[1]}": 1})
        line = "  - { match: { host: deaf.example }, call: probe.v1.Probe/Unary }\n"
        telamon.write("servlets/deaf.yaml", f"schema: ../protos/probe.proto\nroutes:\n{line}timeout: 500ms\n")
        try:
            harness.until("the servlet deaf is there", lambda: "deaf" in telamon.servlets())
            began = time.monotonic()
            with pytest.raises(grpc.RpcError) as raised:
                as_host(telamon, "deaf.example").Unary(Ask(), timeout=20)
            assert raised.value.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
            reply = harness.curl(*harness.HTTP10, "-H", "Host: deaf.example", telamon.url + "/x")
            assert reply.status in (503, 504)
            assert time.monotonic() - began < 5
        finally:
            (telamon.directory / "servlets" / "deaf.yaml").unlink()
            harness.until("the servlet deaf is gone", lambda: "deaf" not in telamon.servlets())


@pytest.mark.parametrize("kind", ["unary", "server", "client", "bidi"])
def test_a_caller_that_cancels_is_seen_by_the_servlet(stub, servlet, key, kind):
    release = threading.Event()
    metadata = [("x-key", key)]
    match kind:
        case "unary":
            call = stub.Unary.future(Ask(key=key, delay_ms=30_000), metadata=metadata)
        case "server":
            call = stub.Expand(Ask(key=key, count=1, hold=True), metadata=metadata)
            next(call)
        case "client":
            call = stub.Collect.future(iter_held(key, release), metadata=metadata)
        case "bidi":
            call = stub.Chat(iter_held(key, release), metadata=metadata)
    servlet.wait(key, "start")
    call.cancel()
    servlet.wait(key, "cancelled")
    release.set()
    servlet.wait(key, "end")


def iter_held(key, release):
    """One message, once it may go."""
    release.wait(30)
    yield Ask(key=key, text="late")


def test_nothing_stays_in_flight_after_the_calls_are_over(telamon):
    """After all the cancelled and failed calls above, too."""

    def idle():
        return all(endpoint["in_flight"] == 0 for endpoint in telamon.endpoints("probe"))

    harness.until("no endpoint has calls in flight", idle)


def test_a_slow_reader_holds_the_servlet_back_and_not_telamon(telamon, stub, servlet, key):
    before = telamon.rss()
    call = stub.Expand(Ask(key=key, count=10_000, size=64 * 1024), timeout=50)
    assert next(call).index == 0
    sent = settled(lambda: servlet.count(key, "sent"))
    assert sent < 1000, "the servlet could send more than 64 MiB that nobody read"
    assert telamon.rss() - before < 32 * MIB
    # It goes on where it stood.
    assert [next(call).index for _ in range(500)] == list(range(1, 501))
    call.cancel()
    servlet.wait(key, "cancelled")


def test_a_servlet_that_reads_slowly_holds_the_caller_back(telamon, stub, servlet, key):
    before = telamon.rss()
    sent = 0

    def messages():
        nonlocal sent
        yield Ask(key=key, hold=True)
        for sent in range(1, 10_000):
            yield Ask(key=key, payload=bytes(64 * 1024))

    call = stub.Collect.future(messages(), timeout=50, metadata=[("x-key", key)])
    servlet.wait(key, "received")
    assert settled(lambda: sent) < 1000
    assert telamon.rss() - before < 32 * MIB
    call.cancel()
    servlet.wait(key, "cancelled")


def settled(read):
    """A number, once it has not changed for half a second."""
    last, since = read(), time.monotonic()
    while time.monotonic() - since < 0.5:
        time.sleep(0.05)
        if (now := read()) != last:
            last, since = now, time.monotonic()
    return last


def test_a_stalled_call_does_not_hold_up_others_on_its_connection(stub, servlet, key):
    call = stub.Expand(Ask(key=key, count=10_000, size=64 * 1024), timeout=50)
    next(call)
    settled(lambda: servlet.count(key, "sent"))
    for index in range(20):
        assert stub.Unary(Ask(text=str(index), size=100_000), timeout=10).text == str(index)
    call.cancel()


def test_many_small_messages_to_a_slow_reader_do_not_end_the_connection(stub, servlet, key):
    """Some HTTP/2 stacks take a pile of small unread frames for an attack, and end every call of the connection."""
    call = stub.Expand(Ask(key=key, count=20_000, text="twenty bytes or so.."), timeout=50)
    next(call)
    settled(lambda: servlet.count(key, "sent"))
    assert stub.Unary(Ask(text="still here"), timeout=10).text == "still here"
    assert [answer.index for answer in call] == list(range(1, 20_000))


def test_many_cancelled_calls_leave_the_connections_healthy(telamon, stub, servlet, key):
    calls = [stub.Unary.future(Ask(delay_ms=30_000), timeout=50) for _ in range(1500)]
    for call in calls:
        call.cancel()
    assert [stub.Unary(Ask(text=str(index)), timeout=10).text for index in range(30)] == [str(index) for index in range(30)]


def test_a_refused_connection_goes_elsewhere_unseen(telamon):
    """Nobody listens at the endpoint that weighs ten of eleven."""
    stub = as_host(telamon, "lame.example")
    assert {stub.Unary(Ask(text=str(index)), timeout=10).replica for index in range(50)} == {"r1"}
    states = {endpoint["state"] for endpoint in telamon.endpoints("lame")}
    assert states == {"serving", "set_aside"}


def test_endpoints_and_listeners_may_be_unix_sockets(telamon):
    with channel(f"unix:{telamon.unix}", grpc__default_authority="local.example") as it:
        assert probe_pb2_grpc.ProbeStub(it).Unary(Ask(text="u"), timeout=10).replica == "local"


def test_a_unix_socket_needs_no_authority(telamon):
    """What gRPC C-core makes of the socket's path by itself, and what it is when it is written out."""
    path = str(telamon.unix)
    encoded = quote(path, safe="")
    for options in ({}, {"grpc__default_authority": encoded}, {"grpc__default_authority": encoded.removeprefix("%2F")}):
        with channel(f"unix:{path}", **options) as it:
            stub = probe_pb2_grpc.ProbeStub(it)
            for text in ("one", "two"):
                assert stub.Unary(Ask(text=text), timeout=10).text == text


def test_grpc_without_a_schema_needs_two_lines(telamon, servlet):
    """`services: ["*"]` takes every gRPC path that no exact name takes."""
    telamon.table("any", {servlet.replicas["r4"]: 1})
    telamon.write("servlets/any.yaml", 'services: ["*"]\n')
    try:
        harness.until("the servlet any is there", lambda: "any" in telamon.servlets())
        with channel(telamon.authority) as it:
            assert probe_pb2_grpc.ProbeStub(it).Unary(Ask(), timeout=10).replica in ("r1", "r2", "r3")
            with pytest.raises(grpc.RpcError) as raised:
                it.unary_unary("/unheard.of.Service/Call")(b"", timeout=10)
            # The replica's own word: the path was carried to it.
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        harness.until("r4 was asked", lambda: sum(endpoint["requests"] for endpoint in telamon.endpoints("any")) == 1)
    finally:
        (telamon.directory / "servlets" / "any.yaml").unlink()
        harness.until("the servlet any is gone", lambda: "any" not in telamon.servlets())


def test_grpc_js_calls_through(telamon, servlet, key):
    """The other gRPC implementation that is nobody's relative: unary, streams and errors from Node."""
    node = harness.BUILD / "node"
    common = Path(google.api.__path__[0]).parent.parent
    done = subprocess.run(
        ["node", "client.js", telamon.authority, str(harness.HERE / "proto"), str(common), key],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    got = json.loads(done.stdout)
    assert got["unary"] == {"text": "from node", "big": "9007199254740993"}
    assert got["head"] == ["yes"] and got["trailer"] == ["yes"]
    assert got["expanded"] == list(range(20))
    assert got["collected"] == "a,b,c"
    assert got["chat"] == ["ping 0", "ping 1", "ping 2", "ping 3", "ping 4"]
    assert got["error"] == {"code": 5, "details": "näh", "rich": True}
    assert got["deadline"] == 4
    seen = servlet.wait(key, "start")
    assert seen["metadata"]["user-agent"][0].startswith("grpc-node-js/")
