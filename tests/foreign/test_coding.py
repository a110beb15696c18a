"""Content codings with callers that have their own decoders: curl, requests, and gRPC servlets that compress their messages."""

import gzip
import json
import subprocess
import zlib

import pytest
import requests
from harness import HTTP2, HTTP10, HTTP11, PATIENCE, curl

VERSIONS = [pytest.param(HTTP10, id="1.0"), pytest.param(HTTP11, id="1.1"), pytest.param(HTTP2, id="2")]
TEXT = "größer " * 5000


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def known():
    """The codings that this curl was built with."""
    features = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    names = {"libz": ("gzip", "deflate"), "brotli": ("br",), "zstd": ("zstd",)}
    return [coding for feature, codings in names.items() if feature in features for coding in codings]


def test_curl_decodes_each_coding(telamon, version, known):
    assert known, "a curl without any coding"
    for coding in known:
        body = json.dumps({"text": TEXT})
        asked = ("-H", f"Accept-Encoding: {coding}", "-H", "Content-Type: application/json", "--data-binary", "@-")
        coded = curl(*version, *asked, telamon.url + "/v1/ask", stdin=body.encode())
        assert (coded.status, coded["content-encoding"]) == (200, coding), coded
        assert len(coded.body) == int(coded["content-length"]) < 3000
        reply = curl(*version, *asked, "--compressed", telamon.url + "/v1/ask", stdin=body.encode())
        assert (reply.exit_code, reply.json["text"]) == (0, TEXT)


def test_curl_decodes_a_stream_and_hears_that_it_broke(telamon, version, known):
    for coding in known:
        asked = (*version, "--compressed", "-H", f"Accept-Encoding: {coding}", "-H", "Accept: application/x-ndjson")
        reply = curl(*asked, telamon.url + "/v1/expand?count=20&text=x")
        assert (reply.status, reply.exit_code, reply["content-encoding"]) == (200, 0, coding), reply
        assert [json.loads(line)["text"] for line in reply.body.splitlines()] == ["x"] * 20
        broken = curl(*asked, telamon.url + "/v1/expand?count=3&text=x&failCode=9")
        assert broken.status == 200 and broken.exit_code != 0, broken


def test_requests_posts_bodies_that_python_coded(telamon):
    body = json.dumps({"text": TEXT}).encode()
    raw = zlib.compressobj(wbits=-15)
    for coding, coded in [
        ("gzip", gzip.compress(body)),
        ("gzip", gzip.compress(body[:100]) + gzip.compress(body[100:])),
        ("deflate", zlib.compress(body)),
        ("deflate", raw.compress(body) + raw.flush()),
        ("deflate, gzip", gzip.compress(zlib.compress(body))),
    ]:
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        answer = requests.post(telamon.url + "/v1/ask", coded, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Encoding"] == "gzip" and answer.json()["text"] == TEXT
        pieces = (coded[place : place + 7] for place in range(0, len(coded), 7))
        answer = requests.post(telamon.url + "/v1/ask", pieces, headers=headers, timeout=PATIENCE)
        assert answer.json()["text"] == TEXT
    headers["Content-Encoding"] = "compress"
    answer = requests.post(telamon.url + "/v1/ask", body, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 415 and "gzip" in answer.headers["Accept-Encoding"]


def test_a_bomb_of_gzip_is_refused_in_little_memory(telamon):
    bomb = gzip.compress(bytes(300 << 20))
    before = telamon.rss()
    headers = {"Content-Encoding": "gzip"}
    answer = requests.post(telamon.url + "/v1/ask", bomb, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 413, answer.text
    assert telamon.rss() - before < 24 << 20


def test_messages_that_a_servlet_compressed_are_read(telamon, version):
    body = json.dumps({"text": TEXT, "gzip": True})
    reply = curl(*version, "-H", "Content-Type: application/json", "-d", body, telamon.url + "/v1/ask")
    assert (reply.status, reply.json["text"]) == (200, TEXT), reply
