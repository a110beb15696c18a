"""HTTP/1.0 is a contract: what the oldest callers send, and exactly what they may get back."""

import base64
import json
import socket
import subprocess

import pytest
from harness import HTTP10, PATIENCE, curl, netcat, raw, read_all, reset_on_close, split_reply, until

NEVER = {"transfer-encoding", "trailer"}


def ask(path, *lines, method="GET", body=b"", version="1.0"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode() + body


def test_a_request_without_a_host_is_served(telamon):
    reply = raw(telamon.port, ask("/v1/ask?text=bare"))
    assert reply.status == 200 and reply.json["text"] == "bare"
    assert reply["connection"] == "close" and int(reply["content-length"]) == len(reply.body)
    assert not NEVER & reply.headers.keys()
    assert curl(*HTTP10, "-H", "Host:", telamon.url + "/v1/ask?text=curl").json["text"] == "curl"


def test_a_request_without_a_host_is_taken_for_the_default_host(telamon):
    assert raw(telamon.port, ask("/old/way?text=o")).json["text"] == "o"
    assert raw(telamon.port, ask("/old/way?text=o", "Host: legacy.internal")).json["text"] == "o"
    assert raw(telamon.port, ask("/old/way?text=o", "Host: other.example")).status == 404


def test_http10_keeps_alive_when_asked_and_only_then(telamon):
    url = telamon.url + "/v1/ask?text=k"
    kept = curl(*HTTP10, "-H", "Connection: keep-alive", "-w", "|%{num_connects}|", url, url, url)
    assert kept["connection"].lower() == "keep-alive"
    assert kept.body.split(b"|")[1::2] == [b"1", b"0", b"0"]
    closed = curl(*HTTP10, "-w", "|%{num_connects}|", url, url)
    assert closed["connection"].lower() == "close"
    assert closed.body.split(b"|")[1::2] == [b"1", b"1"]


def test_an_answer_over_the_buffer_is_ended_by_closing_or_has_its_length(telamon):
    reply = curl(*HTTP10, "-H", "Connection: keep-alive", telamon.url + "/v1/ask?size=300000")
    assert reply.status == 200 and len(base64.b64decode(reply.json["payload"])) == 300_000
    assert not NEVER & reply.headers.keys()
    if "content-length" not in reply.headers:
        assert reply["connection"] == "close"


def test_a_post_without_a_length_is_411(telamon):
    reply = raw(telamon.port, ask("/v1/ask", "Content-Type: application/json", method="POST"))
    assert reply.status == 411 and reply.json["code"] == 3


def test_a_transfer_encoding_is_400_and_nothing_after_it_is_read_as_a_request(telamon, servlet, key):
    smuggled = b"0\r\n\r\n" + ask(f"/v1/ask?key={key}")
    reply = raw(telamon.port, ask("/v1/ask", "Transfer-Encoding: chunked", "Connection: keep-alive", method="POST", body=smuggled))
    assert reply.status == 400 and reply.json["code"] == 3 and reply["connection"] == "close"
    assert servlet.seen(key) == []
    done = curl(*HTTP10, "-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json", "-d", "{}", telamon.url + "/v1/ask")
    assert done.status == 400


@pytest.mark.parametrize("line", [b"GET /v1/ask\r\n", b"GET /v1/ask\n", b"GET /\r\n\r\n"], ids=repr)
def test_http09_is_refused_with_400(telamon, line):
    reply = raw(telamon.port, line, half_close=True)
    assert reply.status == 400


def test_a_posted_body_of_a_told_length_is_served(telamon):
    body = b'{"text":"posted"}'
    lines = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    assert raw(telamon.port, ask("/v1/ask", *lines, method="POST", body=body)).json["text"] == "posted"


def test_nc_that_half_closes_still_gets_its_answer(telamon, servlet, key):
    """The servlet is at work for a while after the caller's half is closed."""
    reply = netcat(telamon.port, ask(f"/v1/ask?key={key}&text=half&delayMs=500&size=100000"))
    assert reply.status == 200 and reply.json["text"] == "half"
    assert len(base64.b64decode(reply.json["payload"])) == 100_000
    servlet.wait(key, "ok")
    reply = netcat(telamon.port, ask("/v1/ask?text=half&delayMs=300", "Host: x", "Connection: close", version="1.1"))
    assert reply.status == 200 and reply.json["text"] == "half"


def test_nc_that_half_closes_gets_a_stream_to_its_end(telamon):
    reply = netcat(telamon.port, ask("/v1/expand?count=10&delayMs=50"))
    assert len(reply.json) == 10


def test_a_caller_that_vanishes_cancels_its_call(telamon, servlet, key):
    connection = socket.create_connection(("127.0.0.1", telamon.port), timeout=PATIENCE)
    connection.sendall(ask(f"/v1/ask?key={key}&hold=true"))
    servlet.wait(key, "start")
    reset_on_close(connection)
    connection.close()
    servlet.wait(key, "cancelled")


def test_curl_that_is_killed_cancels_its_stream(telamon, servlet, key):
    """Nobody reads any more: the next write meets a reset."""
    url = f"{telamon.url}/v1/expand?key={key}&count=10000&size=1000&delayMs=5"
    with subprocess.Popen(["curl", "-sN", *HTTP10, url], stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1000)
        process.kill()
        process.stdout.close()
    servlet.wait(key, "cancelled")


def test_an_http11_caller_that_leaves_cancels_its_call(telamon, servlet, key):
    connection = socket.create_connection(("127.0.0.1", telamon.port), timeout=PATIENCE)
    connection.sendall(ask(f"/v1/ask?key={key}&hold=true", "Host: x", version="1.1"))
    servlet.wait(key, "start")
    connection.close()
    servlet.wait(key, "cancelled")


def test_a_reader_that_stands_still_holds_the_servlet_back(telamon, servlet, key):
    before = telamon.rss()
    with socket.create_connection(("127.0.0.1", telamon.port), timeout=PATIENCE) as connection:
        connection.sendall(ask(f"/v1/expand?key={key}&count=10000&size=65536"))
        assert connection.recv(100)
        # What all the buffers on the way take, and then nothing more for half a second.
        last = [-1]

        def stands_still():
            last.append(servlet.count(key, "sent"))
            return len(last) > 10 and len(set(last[-10:])) == 1 and last[-1] > 0

        until("the servlet stands still", stands_still, every=0.05)
        assert last[-1] < 1000
        assert telamon.rss() - before < 32 << 20
        reset_on_close(connection)
    servlet.wait(key, "cancelled")


def test_pipelined_requests_are_answered_in_order(telamon):
    requests = [ask(f"/v1/ask?text={index}", "Host: x", version="1.1") for index in range(5)]
    requests.append(ask("/v1/ask?text=last", "Host: x", "Connection: close", version="1.1"))
    with socket.create_connection(("127.0.0.1", telamon.port), timeout=PATIENCE) as connection:
        connection.sendall(b"".join(requests))
        data = read_all(connection)
    texts = []
    while data:
        reply = split_reply(data)
        length = int(reply["content-length"]) if "content-length" in reply.headers else None
        assert reply.status == 200 and length is not None, reply
        texts.append(json.loads(reply.body[:length])["text"])
        data = reply.body[length:]
    assert texts == ["0", "1", "2", "3", "4", "last"]


@pytest.mark.parametrize(
    "request_",
    [
        ask("/v1/ask", version="1.1"),
        ask("/v1/ask", "Host: a", "Host: b", version="1.1"),
        ask("/v1/ask", "Host: a", "Content-Length: 1", "Content-Length: 2", method="POST", version="1.1"),
        ask("/v1/ask", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked", method="POST", version="1.1"),
        ask("/v1/ask", "Host: a", "Content-Length: +1", method="POST", version="1.1"),
        ask("/v1/ask", "Host: a", "Bad Name: x", version="1.1"),
        ask("/v1/ask", "Host : a", version="1.1"),
        ask("/v1/ask", "Host: a", "X: 1", " folded", version="1.1"),
        b"GET /v1/ask HTTP/1.1\nHost: a\n\n",
    ],
    ids=["no host", "two hosts", "two lengths", "both framings", "signed", "space", "space before colon", "folded", "bare LF"],
)
def test_a_head_that_two_readers_could_understand_differently_is_400(telamon, request_):
    reply = raw(telamon.port, request_)
    assert reply.status == 400 and reply["connection"] == "close"


def test_who_speaks_http10_is_counted(telamon):
    before = telamon.total("telamon_legacy_requests_total", servlet="probe")
    for _ in range(3):
        raw(telamon.port, ask("/v1/ask"))
    assert until("it is counted", lambda: telamon.total("telamon_legacy_requests_total", servlet="probe") - before) == 3


def test_the_access_log_names_the_endpoint_and_the_side(telamon, servlet, key):
    raw(telamon.port, ask(f"/v1/shelves/shelf/{key}/ask"))
    raw(telamon.port, ask(f"/v1/{key}"))
    path = telamon.directory / "access.log"

    def lines():
        found = [json.loads(line) for line in path.read_text().splitlines() if key in line]
        return {line["status"]: line for line in found} if len(found) == 2 else None

    found = until("both calls are in the access log", lines)
    assert found[200]["endpoint"] in servlet.replicas.values() and found[200]["servlet"] == "probe", found
    assert (found[404]["endpoint"], found[404]["side"], found[404]["flag"]) == (None, "caller", "no_route"), found
    assert all(line["protocol"] == "HTTP/1.0" for line in found.values())
