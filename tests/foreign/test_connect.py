"""The Connect protocol and gRPC-Web by clients of others: Connect-ES on Node, and connectrpc in Python."""

import json
import subprocess

import pytest
from connectrpc.client import ConnectClientSync, ResponseMetadata
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from probe.v1 import probe_pb2

import harness

Ask, Answer = probe_pb2.Ask, probe_pb2.Answer
NODE = [
    ("connect", "1.1", "json"),
    ("connect", "1.1", "proto"),
    ("connect", "2", "json"),
    ("connect", "2", "proto"),
    ("grpc-web", "1.1", "proto"),
    ("grpc-web", "2", "proto"),
]


@pytest.mark.parametrize("protocol,version,codec", NODE)
def test_connect_es_calls_through(telamon, servlet, key, protocol, version, codec):
    command = ["node", "connect.mjs", telamon.url, str(harness.DESCRIPTORS), protocol, version, codec, key]
    done = subprocess.run(command, cwd=harness.BUILD / "node", capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    got = json.loads(done.stdout)
    assert got["unary"] == {"head": "yes", "trailer": "yes", "text": "from node", "big": "9007199254740993"}
    assert got["expanded"] == {"trailer": "yes", "indices": list(range(20))}
    assert got["error"] == {"code": "NotFound", "message": "näh", "notes": ["a", "b"], "trailer": "yes"}
    assert got["failing"]["indices"] == [0, 1, 2]
    assert (got["failing"]["code"], got["failing"]["message"]) == ("ResourceExhausted", "enough")
    assert got["failing"]["notes"] == ["n"]
    assert got["unknown"]["code"] == "ResourceExhausted"
    assert got["late"]["code"] == "DeadlineExceeded"
    if protocol == "connect":
        assert got["look"] == "a b&c=d+é"
        assert got["collected"] == "a,b,c"
        assert servlet.wait(f"{key}-get", "start")["method"] == "Look"
    if (protocol, version) == ("connect", "2"):
        assert got["chat"] == [f"ping {round}" for round in range(5)]
    seen = servlet.wait(key, "start")
    assert 5 < seen["remaining"] <= 10
    assert not [name for name in seen["metadata"] if name.startswith("connect-")]


def method(name, kind=StreamType.UNARY, level=IdempotencyLevel.UNKNOWN):
    of = {"service_name": "probe.v1.Probe", "input": Ask, "output": Answer}
    return MethodInfo(name=name, stream_type=kind, idempotency_level=level, **of)


EXPAND = method("Expand", StreamType.SERVER_STREAM)
COLLECT = method("Collect", StreamType.CLIENT_STREAM)


PYTHON = {
    "proto": (ProtocolType.CONNECT, google_protobuf_binary_codec),
    "json": (ProtocolType.CONNECT, google_protobuf_json_codec),
    "grpc-web": (ProtocolType.GRPC_WEB, google_protobuf_binary_codec),
}


@pytest.fixture(params=PYTHON)
def client(telamon, request):
    protocol, codec = PYTHON[request.param]
    more = {"accept_compression": (), "send_compression": None}
    with ConnectClientSync(telamon.url, protocol=protocol, codec=codec(), **more) as client:
        yield client


def test_connect_python_calls_through(client, servlet, key):
    with ResponseMetadata() as metadata:
        headers = {"x-key": key, "x-echo-word": "yes"}
        ask = Ask(text="from python", big=2**53 + 1)
        answer = client.execute_unary(request=ask, method=method("Unary"), headers=headers, timeout_ms=10000)
    assert (answer.text, answer.big) == ("from python", 2**53 + 1)
    assert (metadata.headers["x-head-word"], metadata.trailers["x-trailer-word"]) == ("yes", "yes")
    assert 5 < servlet.wait(key, "start")["remaining"] <= 10


@pytest.mark.parametrize("client", ["proto", "json"], indirect=True)
def test_connect_python_may_get(client, servlet, key):
    look = method("Look", level=IdempotencyLevel.NO_SIDE_EFFECTS)
    answer = client.execute_unary(request=Ask(key=key, text="a b&c=d+é"), method=look, use_get=True)
    assert answer.text == "a b&c=d+é"
    servlet.wait(key, "ok")


def test_connect_python_streams(client):
    answers = client.execute_server_stream(request=Ask(count=20), method=EXPAND)
    assert [answer.index for answer in answers] == list(range(20))
    asks = iter([Ask(text="a"), Ask(text="b"), Ask(text="c")])
    assert client.execute_client_stream(request=asks, method=COLLECT).text == "a,b,c"


def test_connect_python_is_told_of_errors(client):
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(request=Ask(fail_code=5, fail_message="näh", notes=["a"]), method=method("Unary"))
    assert (failed.value.code, failed.value.message) == (Code.NOT_FOUND, "näh")
    detail = failed.value.details[0]
    assert (detail.type_name, probe_pb2.Note.FromString(detail.message_bytes).text) == ("probe.v1.Note", "a")
    seen = []
    with pytest.raises(ConnectError) as failed:
        for answer in client.execute_server_stream(request=Ask(count=3, fail_code=8, fail_message="enough"), method=EXPAND):
            seen.append(answer.index)
    assert (seen, failed.value.code, failed.value.message) == ([0, 1, 2], Code.RESOURCE_EXHAUSTED, "enough")
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(request=Ask(delay_ms=20000), method=method("Unary"), timeout_ms=300)
    assert failed.value.code == Code.DEADLINE_EXCEEDED
