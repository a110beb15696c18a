"""curl as the caller: JSON by the google.api.http rules, over HTTP/1.0, HTTP/1.1 and HTTP/2 on one port."""

import base64
import json
import re
import socket
import subprocess

import pytest
from harness import HTTP2, HTTP10, HTTP11, PATIENCE, curl, read_all, split_reply

VERSIONS = [pytest.param(HTTP10, id="1.0"), pytest.param(HTTP11, id="1.1"), pytest.param(HTTP2, id="2")]
JSON = ("-H", "Content-Type: application/json")

# google.rpc.Code to HTTP, by design §8.
STATUSES = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500}
STATUSES |= {14: 503, 15: 500, 16: 401}


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def get(telamon, version):
    return lambda path, *more: curl(*version, *more, telamon.url + path)


@pytest.fixture
def post(telamon, version):
    def send(path, body, *more):
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return curl(*version, *(more or JSON), "--data-binary", text, telamon.url + path)

    return send


def answered(reply):
    """The answer's JSON, of a call that went well."""
    assert (reply.status, reply.exit_code) == (200, 0), reply
    assert reply["content-type"].split(";")[0] == "application/json", reply
    return reply.json


def told(reply, status, code):
    """The google.rpc.Status of a call that did not."""
    assert (reply.status, reply.exit_code) == (status, 0), reply
    assert reply["content-type"].split(";")[0] == "application/json", reply
    assert reply.json["code"] in (code if isinstance(code, tuple) else (code,)), reply
    assert isinstance(reply.json.get("message", ""), str)
    return reply.json


def test_a_get_binds_the_path_and_the_query(get):
    answer = answered(get("/v1/shelves/shelf/caf%C3%A9%201/ask?big=-9223372036854775808&color=COLOR_BLUE&payload=_-8%3D"))
    assert answer["text"] == "shelf/café 1"
    assert answer["big"] == "-9223372036854775808"
    assert answer["color"] == "COLOR_BLUE"
    assert base64.b64decode(answer["payload"]) == b"\xff\xef" and answer["length"] == 2


def test_a_query_reaches_nested_repeated_and_well_known_fields(get):
    query = "nested.name=n%26m&nested.numbers=1&nested.numbers=-2&when=2024-02-29T12:00:00.5Z&took=1.500s&color=2&text=a+b"
    answer = answered(get(f"/v1/ask?{query}"))
    assert answer["nested"] == {"name": "n&m", "numbers": [1, -2]}
    assert answer["when"] == "2024-02-29T12:00:00.500Z" and answer["took"] == "1.500s"
    assert answer["color"] == "COLOR_BLUE" and answer["text"] in ("a b", "a+b")


def test_a_post_maps_its_body(post):
    body = {"text": 'q"\\\u00e9\U0001f600', "big": "9007199254740993", "color": 1, "payload": "AQI=", "nested": {"numbers": [3]}}
    answer = answered(post("/v1/ask", body))
    assert answer["text"] == body["text"] and answer["big"] == "9007199254740993"
    assert answer["color"] == "COLOR_RED" and answer["payload"] == "AQI=" and answer["nested"] == {"numbers": [3]}


def test_a_rule_may_name_a_verb_a_body_field_and_a_response_field(telamon, version):
    answer = answered(curl(*version, *JSON, "-d", '{"text":"loud"}', telamon.url + "/v1/ask:shout"))
    assert answer["text"] == "loud"
    reply = curl(*version, *JSON, "-X", "PUT", "-d", '{"name":"in","numbers":[7]}', telamon.url + "/v1/nested/k")
    assert answered(reply) == {"name": "in", "numbers": [7]}


def test_a_method_without_a_rule_is_called_by_its_name(post):
    assert answered(post("/probe.v1.Probe/Plain", {"text": "by name"}))["text"] == "by name"


def test_http_bodies_go_in_and_out_as_they_are(telamon, version, get):
    reply = get("/v1/files/some")
    assert reply.status == 200 and reply["content-type"] == "text/csv" and reply.body == b"name\nsome\n"
    data = bytes(range(256)) * 40
    reply = curl(*version, "-H", "Content-Type: image/png", "--data-binary", "@-", telamon.url + "/v1/files/pic", stdin=data)
    answer = answered(reply)
    assert answer["text"] == "pic image/png" and answer["length"] == len(data)
    assert base64.b64decode(answer["payload"]) == data[:64]


def test_headers_reach_the_servlet_as_metadata_and_come_back(telamon, version, servlet, key):
    headers = ["X-Plain: one", "X-Echo-Word: yes", "Authorization: Bearer t", "Connection: X-Hop", "X-Hop: no"]
    if version == HTTP2:
        headers = headers[:3]
    reply = curl(*version, *(part for header in headers for part in ("-H", header)), f"{telamon.url}/v1/ask?key={key}")
    assert answered(reply) and reply["x-head-word"] == "yes"
    seen = servlet.wait(key, "start")["metadata"]
    assert seen["x-plain"] == ["one"] and seen["authorization"] == ["Bearer t"]
    assert "x-hop" not in seen and "connection" not in seen and "host" not in seen


def test_what_the_caller_says_of_other_hops_is_replaced(telamon, version, servlet, key):
    spoofed = ("-H", "X-Forwarded-For: 6.6.6.6", "-H", "X-Forwarded-Proto: https")
    answered(curl(*version, *spoofed, f"{telamon.url}/v1/ask?key={key}"))
    seen = servlet.wait(key, "start")["metadata"]
    assert seen["x-forwarded-for"] == ["127.0.0.1"] and seen.get("x-forwarded-proto") in (["http"], None)


@pytest.mark.parametrize("code", STATUSES)
def test_every_grpc_status_becomes_its_http_status(get, code):
    reply = get(f"/v1/ask?failCode={code}&failMessage=na%C3%AFve%20100%20%25")
    assert told(reply, STATUSES[code], code)["message"] == "naïve 100 %"
    if reply.version in ("HTTP/1.0", "HTTP/1.1"):
        assert reply["grpc-status"] == str(code)
        assert reply["grpc-message"] == "na%C3%AFve 100 %25"


def test_rich_details_are_in_the_json(get):
    status = told(get("/v1/ask?fail_code=9&fail_message=no&notes=one&notes=two"), 400, 9)
    assert status["details"] == [{"@type": "type.googleapis.com/probe.v1.Note", "text": text} for text in ("one", "two")]


def test_standard_details_are_told_without_being_in_the_schema(get):
    reply = get("/v1/ask?fail_code=14&fail_message=busy&notes=one", "-H", "x-details: standard")
    status = told(reply, 503, 14)
    url = "type.googleapis.com/"
    assert status["details"] == [
        {"@type": url + "probe.v1.Note", "text": "one"},
        {"@type": url + "google.rpc.ErrorInfo", "reason": "FULL", "domain": "probe.example", "metadata": {"shelf": "3"}},
        {"@type": url + "google.rpc.RetryInfo", "retryDelay": "1.500s"},
        {"@type": url + "google.rpc.BadRequest", "fieldViolations": [{"field": "text", "description": "is empty"}]},
    ]
    assert reply["retry-after"] == "2"


def test_a_path_of_nobody_is_404(get):
    for path in ("/v1/nothing", "/", "/v1/ask/more", "/v1/shelves/desk/1/ask", "/probe.v1.Probe/"):
        told(get(path), 404, (5, 12))


def test_another_method_is_405_and_tells_which_are_allowed(telamon, version):
    reply = curl(*version, "-X", "DELETE", telamon.url + "/v1/ask")
    told(reply, 405, 12)
    assert {"GET", "POST"} <= {method.strip() for method in reply["allow"].split(",")}
    reply = curl(*version, "-X", "DELETE", telamon.url + "/v1/expand")
    assert "POST" not in reply["allow"] and "GET" in reply["allow"]


@pytest.mark.parametrize(
    "body",
    ['{"text":', "[]", '{"nothing":1}', '{"big":"x"}', '{"count":1.5}', '{"text":"a","text":"b"}', '{"color":"GREEN"}', "\xff", "", "{}x"],
    ids=["cut", "array", "unknown", "word", "fraction", "twice", "enum", "utf8", "empty", "more"],
)
def test_a_body_that_does_not_fit_is_400(post, servlet, body):
    before = servlet.served()
    reply = post("/v1/ask", body.encode("latin-1"))
    if body == "" and reply.status == 200:
        # An absent body is an empty message to some transcoders, Envoy among them.
        return
    told(reply, 400, 3)
    assert servlet.served() == before, "the servlet was called all the same"


def test_a_query_that_does_not_fit_is_400(get):
    for query in ("nothing=1", "count=x", "nested=1", "color=GREEN", "nested.nothing=1", "count=99999999999"):
        told(get(f"/v1/ask?{query}"), 400, 3)


def test_a_body_of_another_kind_is_415(post):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        told(post("/v1/ask", '{"text":"a"}', "-H", f"Content-Type: {kind}"), 415, 3)
    assert answered(post("/v1/ask", '{"text":"a"}', "-H", "Content-Type: application/json; charset=utf-8"))["text"] == "a"


def test_out_of_time_is_504(telamon, version, servlet, key):
    reply = curl(*version, "-H", "Host: hasty.example", f"{telamon.url}/slow?key={key}&delayMs=20000")
    told(reply, 504, 4)
    servlet.wait(key, "cancelled")


def test_a_server_stream_is_a_json_array(get):
    reply = get("/v1/expand?count=50&text=x")
    assert [answer.get("index", 0) for answer in answered(reply)] == list(range(50))
    if reply.version == "HTTP/1.1" and "transfer-encoding" not in reply.headers:
        assert reply["connection"] == "close"
    assert answered(get("/v1/expand?count=0")) == []


def test_a_server_stream_to_http10_is_ended_by_closing(telamon):
    reply = curl(*HTTP10, "-H", "Connection: keep-alive", f"{telamon.url}/v1/expand?count=20&size=20000")
    assert len(answered(reply)) == 20
    assert reply["connection"] == "close" and not {"transfer-encoding", "content-length", "trailer"} & reply.headers.keys()


def test_a_server_stream_over_http11_is_chunked_and_the_connection_goes_on(telamon):
    reply = curl(*HTTP11, f"{telamon.url}/v1/expand?count=3", f"{telamon.url}/v1/expand?count=3", "-w", "%{num_connects}")
    assert reply["transfer-encoding"] == "chunked"
    assert re.findall(rb"\](\d)", reply.body) == [b"1", b"0"]


def test_a_server_stream_comes_message_by_message(telamon, servlet, key):
    """The first are there while the servlet still holds the end."""
    for version in (b"1.0", b"1.1"):
        mine = key + version.decode()
        with socket.create_connection(("127.0.0.1", telamon.port), timeout=PATIENCE) as connection:
            path = b"/v1/expand?count=3&text=early&hold=true&key=" + mine.encode()
            connection.sendall(b"GET " + path + b" HTTP/" + version + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = b""
            while got.count(b"early") < 3:
                piece = connection.recv(65536)
                assert piece, f"ended too soon: {got!r}"
                got += piece
            assert servlet.count(mine, "end") == 0
            servlet.ask("release", key=mine)
            assert split_reply(got + read_all(connection)).status == 200


def test_a_client_stream_takes_a_json_array(post):
    answer = answered(post("/v1/collect", [{"text": "a"}, {"text": "b"}, {"text": "c"}]))
    assert answer["text"] == "a,b,c" and answer["index"] == 3


def test_both_ways_a_stream_is_an_array(post):
    answers = answered(post("/v1/chat", [{"text": f"t{index}"} for index in range(10)]))
    assert [answer["text"] for answer in answers] == [f"t{index}" for index in range(10)]


@pytest.mark.parametrize("size", [10, 40_000], ids=["little", "much"])
def test_a_stream_that_breaks_midway_never_ends_cleanly(telamon, version, size):
    """Its head and first items are gone already: curl must see that what it has is not whole."""
    reply = curl(*version, f"{telamon.url}/v1/expand?count=5&delayMs=100&size={size}&failCode=15&failMessage=lost")
    assert reply.status == 200
    # 18: partial file; 56: reset; 92: HTTP/2 stream reset.
    assert reply.exit_code in ((92,) if version == HTTP2 else (18, 56)), reply
    with pytest.raises(ValueError):
        reply.json


def test_a_stream_that_fails_before_its_first_message_is_told_in_full(get):
    told(get("/v1/expand?count=0&failCode=7&failMessage=no"), 403, 7)


def test_a_large_answer_arrives_whole(get):
    assert len(base64.b64decode(answered(get(f"/v1/ask?size={2 << 20}"))["payload"])) == 2 << 20


def test_a_large_body_arrives_whole(telamon, version):
    body = json.dumps({"payload": base64.b64encode(bytes(2 << 20)).decode()}).encode()
    reply = curl(*version, *JSON, "-H", "Expect:", "--data-binary", "@-", telamon.url + "/v1/ask", stdin=body)
    assert answered(reply)["length"] == 2 << 20


def test_a_message_over_the_limit_is_413(telamon, version, tmp_path):
    """The answer comes while the caller still sends, and must survive that."""
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"payload": base64.b64encode(bytes(5 << 20)).decode()}))
    if version != HTTP2:
        told(curl(*version, *JSON, "-H", "Expect:", "--data-binary", f"@{body}", telamon.url + "/v1/ask"), 413, 8)
        return
    # curl of this age forgets the answer when the stream is reset after its end (RFC 9113 §8.1 allows that); nghttp does not.
    command = ["nghttp", "-v", "--no-dep", "-d", body, "-H", "content-type: application/json", telamon.url + "/v1/ask"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert ":status: 413" in done.stdout and "grpc-status: 8" in done.stdout, done.stdout[-2000:]


def test_expect_continue_is_answered_over_http11(telamon):
    """curl waits a second for it, and sends the body unasked after that; the interim head shows that it was asked."""
    command = ["curl", "-sS", "-i", "--max-time", "20", *HTTP11, *JSON, "-H", "Expect: 100-continue", "-d", '{"text":"e"}']
    done = subprocess.run([*command, telamon.url + "/v1/ask"], capture_output=True)
    assert done.stdout.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), done


def test_head_is_answered_without_a_body_whatever_the_status(telamon, version):
    for path in ("/v1/ask?text=h", "/v1/nothing"):
        reply = curl(*version, "-I", telamon.url + path)
        assert reply.exit_code == 0 and reply.status in (200, 404, 405), reply


def test_one_port_takes_all_versions_and_a_unix_socket_too(telamon, version):
    reply = curl(*version, "--unix-socket", telamon.unix, "http://anything/v1/ask?text=unix")
    assert answered(reply)["text"] == "unix"
