"""What is not JSON: forms of curl and of Python, files, protobuf without gRPC, and streams for a parser of server-sent events."""

import base64
import hashlib
import http.client
import json
import subprocess
import urllib.parse
import urllib.request

import pytest
import sseclient
from harness import HTTP2, HTTP10, HTTP11, PATIENCE, curl
from probe.v1 import probe_pb2

VERSIONS = [pytest.param(HTTP10, id="1.0"), pytest.param(HTTP11, id="1.1"), pytest.param(HTTP2, id="2")]


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


def answered(reply):
    assert (reply.status, reply.exit_code) == (200, 0), reply
    return reply.json


def test_curl_posts_a_form(telamon, version):
    fields = ("--data-urlencode", "text=naïve & 100% +", "-d", "nested.numbers=1&nested.numbers=2&color=COLOR_BLUE")
    for path in ("/v1/ask", "/probe.v1.Probe/Plain"):
        answer = answered(curl(*version, *fields, telamon.url + path))
        assert answer["text"] == "naïve & 100% +" and answer["nested"] == {"numbers": [1, 2]}
        assert answer["color"] == "COLOR_BLUE"
    reply = curl(*version, "-d", "nothing=1", telamon.url + "/v1/ask")
    assert reply.status == 400 and "`nothing`" in reply.json["message"], reply


def test_curl_posts_a_form_with_a_file(telamon, version, tmp_path):
    data = bytes(range(256)) * 300 + b"\r\n--"
    (tmp_path / "f.bin").write_bytes(data)
    answer = answered(curl(*version, "-F", "text=a b+", "-F", f"payload=@{tmp_path}/f.bin", telamon.url + "/v1/ask"))
    assert answer["text"] == "a b+" and base64.b64decode(answer["payload"]) == data
    file = f"any=@{tmp_path}/f.bin;type=image/png"
    answer = answered(curl(*version, "-F", file, telamon.url + "/v1/files/pic"))
    assert answer["text"] == "pic image/png" and answer["length"] == len(data)


def test_curl_streams_a_large_file_of_a_form(telamon, version, tmp_path):
    data = bytes(range(251)) * 120_000
    (tmp_path / "f.bin").write_bytes(data)
    before = telamon.rss()
    answer = answered(curl(*version, "-F", f"any=@{tmp_path}/f.bin;type=video/mp4", telamon.url + "/v1/store"))
    assert answer["text"] == "video/mp4" and answer["length"] == len(data) and answer["index"] > 1
    assert base64.b64decode(answer["payload"]) == hashlib.sha256(data).digest()
    assert telamon.rss() - before < 24 << 20


def test_a_large_file_comes_down_with_its_type(telamon, version):
    reply = curl(*version, f"{telamon.url}/v1/fetch?count=40&size=1000000&text=video/mp4")
    assert (reply.status, reply["content-type"], len(reply.body)) == (200, "video/mp4", 40_000_000)
    broken = curl(*version, f"{telamon.url}/v1/fetch?count=3&size=1000&failCode=9")
    assert broken.status == 200 and broken.exit_code != 0, broken


def test_python_posts_a_form_over_http10(telamon):
    class Old(http.client.HTTPConnection):
        _http_vsn, _http_vsn_str = 10, "HTTP/1.0"

    connection = Old("127.0.0.1", telamon.port, timeout=PATIENCE)
    body = urllib.parse.urlencode([("text", "ü+ =&"), ("nested.numbers", 1), ("nested.numbers", 2)])
    connection.request("POST", "/v1/ask", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    answer = json.load(response)
    assert response.status == 200 and answer["text"] == "ü+ =&"
    assert response.getheader("Transfer-Encoding") is None
    assert answer["nested"] == {"numbers": [1, 2]}
    # urllib says nothing of what it sends but that it is a form.
    with urllib.request.urlopen(telamon.url + "/v1/ask", b"text=plain", timeout=PATIENCE) as response:
        assert json.load(response)["text"] == "plain"


def test_protobuf_without_grpc(telamon, version):
    ask = probe_pb2.Ask(text="é", big=-5, nested=probe_pb2.Nested(numbers=[1, 2]))
    for kind in ("application/x-protobuf", "application/protobuf"):
        headers = ("-H", f"Content-Type: {kind}", "--data-binary", "@-")
        reply = curl(*version, *headers, telamon.url + "/probe.v1.Probe/Plain", stdin=ask.SerializeToString())
        assert (reply.status, reply["content-type"]) == (200, kind), reply
        answer = probe_pb2.Answer.FromString(reply.body)
        assert (answer.text, answer.big, list(answer.nested.numbers)) == ("é", -5, [1, 2])
        failing = probe_pb2.Ask(fail_code=9, fail_message="nö", notes=["one"])
        reply = curl(*version, *headers, telamon.url + "/v1/ask", stdin=failing.SerializeToString())
        from google.rpc import status_pb2

        status = status_pb2.Status.FromString(reply.body)
        assert (reply.status, reply["content-type"], status.code, status.message) == (400, kind, 9, "nö"), reply
        note = probe_pb2.Note()
        assert status.details[0].Unpack(note) and note.text == "one"
        reply = curl(*version, *headers, telamon.url + "/v1/ask", stdin=b'{"text":1}')
        assert reply.status == 400 and status_pb2.Status.FromString(reply.body).code == 3


def test_lines_come_one_by_one(telamon, version):
    command = ["curl", "-sSN", *version, "-H", "Accept: application/x-ndjson", f"{telamon.url}/v1/expand?count=5&delayMs=20&text=t"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        lines = [json.loads(line) for line in process.stdout]
        assert process.wait(PATIENCE) == 0
    assert [line.get("index", 0) for line in lines] == [0, 1, 2, 3, 4]
    reply = curl(*version, "-N", "-H", "Accept: application/x-ndjson", f"{telamon.url}/v1/expand?count=2&failCode=9&failMessage=no")
    last = json.loads(reply.body.splitlines()[-1])
    assert last == {"error": {"code": 9, "message": "no"}} and reply.exit_code != 0, reply


def test_lines_go_up(telamon, version):
    body = b'{"text":"a"}\r\n\n{"text":"b"}'
    for kind in ("application/x-ndjson", "application/jsonl"):
        reply = curl(*version, "-H", f"Content-Type: {kind}", "--data-binary", "@-", telamon.url + "/v1/collect", stdin=body)
        assert answered(reply)["text"] == "a,b"


def test_server_sent_events_are_read_by_a_parser_of_them(telamon):
    def events(query):
        request = urllib.request.Request(f"{telamon.url}/v1/expand?{query}", headers={"Accept": "text/event-stream"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert response.headers["Cache-Control"] == "no-cache"
            try:
                for event in sseclient.SSEClient(response).events():
                    yield event.event, json.loads(event.data)
            except (http.client.IncompleteRead, ConnectionError):
                yield "broken", None

    told = list(events("count=3&text=%0A%0D%E2%80%A8data:%20x"))
    assert [name for name, _ in told] == ["message"] * 3
    assert all(data["text"] == "\n\r\u2028data: x" for _, data in told)
    told = list(events("count=2&failCode=5&failMessage=gone"))
    assert told[2] == ("error", {"code": 5, "message": "gone"}), told
    assert [name for name, _ in told] == ["message", "message", "error", "broken"]
