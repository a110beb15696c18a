"""`upstream: http1` and `http2` carry plain HTTP to what is not gRPC yet: the old monolith, unchanged, beside the new servlets."""

import hashlib
import os
import socket

import grpc
import pytest
from harness import HTTP2, HTTP10, HTTP11, PATIENCE, ab, curl, netcat, read_all, running, until
from monolith import Handler, Handler11, Monolith, Upgrader
from probe.v1 import probe_pb2, probe_pb2_grpc


@pytest.fixture(scope="module")
def monoliths():
    with running(Monolith(Handler)) as old, running(Monolith(Handler11)) as newer, running(Monolith(Upgrader)) as upgrader:
        yield {"old": old, "newer": newer, "upgrader": upgrader}


@pytest.fixture(scope="module")
def mono(telamon, servlet, monoliths):
    """New servlets, with no restart: one a monolith, told apart by their hosts, and gRPC carried over untranslated HTTP/2."""
    addresses = {name: (monolith.address, "http1") for name, monolith in monoliths.items()}
    addresses["blind"] = (servlet.replicas["r4"], "http2")
    for name, (address, upstream) in addresses.items():
        telamon.table(name, {address: 1})
        match = f'match: {{ host: {name}.example, path: "/**" }}'
        telamon.write(f"servlets/{name}.yaml", f"upstream: {upstream}\nroutes:\n  - {{ {match} }}\n")
    until("the new servlets are there", lambda: set(addresses) <= set(telamon.servlets()))
    yield telamon
    for name in addresses:
        (telamon.directory / "servlets" / f"{name}.yaml").unlink()
    until("they are gone", lambda: not set(addresses) & set(telamon.servlets()))


@pytest.fixture(params=[pytest.param(HTTP10, id="1.0"), pytest.param(HTTP11, id="1.1"), pytest.param(HTTP2, id="2")])
def version(request):
    return request.param


@pytest.fixture(params=["old", "newer"])
def host(request):
    return request.param


def call(mono, version, host, path, *more, stdin=None):
    return curl(*version, "-H", f"Host: {host}.example", *more, mono.url + path, stdin=stdin)


def test_get_passes_path_query_and_fields_as_they_are(mono, version, host):
    path = "/mono/a%2Fb/%C3%A9?q=1&q=a%20b&empty"
    reply = call(mono, version, host, path, "-H", "X-Own: kept", "-H", "X-Forwarded-For: 6.6.6.6")
    assert reply.status == 200
    seen = reply.json
    headers = dict(seen["headers"])
    assert (seen["method"], seen["path"]) == ("GET", path)
    assert headers["x-own"] == "kept" and headers["host"] == f"{host}.example"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert len(headers) == len(seen["headers"]), "a field came twice"


def test_post_passes_its_body(mono, version, host):
    body = os.urandom(300_000)
    reply = call(mono, version, host, "/mono/post", "-H", "Expect:", "--data-binary", "@-", stdin=body)
    assert reply.json["method"] == "POST"
    assert (reply.json["length"], reply.json["digest"]) == (len(body), hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_passes(mono, version, method):
    assert call(mono, version, "newer", "/mono/x", "-X", method, "-d", "{}").json["method"] == method


def test_redirects_cookies_and_errors_come_back_as_they_are(mono, version, host):
    reply = call(mono, version, host, "/mono/redirect")
    assert (reply.status, reply["location"], reply.body) == (302, "/mono/elsewhere?a=b", b"")
    reply = call(mono, version, host, "/mono/cookies")
    assert sorted(reply.headers["set-cookie"]) == ["a=1; Path=/", "b=2; HttpOnly"]
    reply = call(mono, version, host, "/mono/missing")
    assert (reply.status, reply["content-type"], reply.body) == (404, "text/html", b"<h1>not here</h1>")


def test_head_has_the_length_and_no_body(mono, version, host):
    reply = call(mono, version, host, "/mono/x", "-I")
    assert reply.status == 200 and int(reply["content-length"]) > 10
    assert reply.exit_code == 0


def test_a_body_that_ends_with_the_connection_is_whole(mono, version, host):
    reply = call(mono, version, host, "/mono/close")
    assert (reply.exit_code, reply.body) == (0, b"until the end" * 1000)


def test_a_body_that_is_cut_never_ends_cleanly(mono, version, host):
    reply = call(mono, version, host, "/mono/cut")
    # 18: partial file; 56: reset; 92: HTTP/2 stream reset, which may overtake the head. Before the head it may still become a 502.
    assert reply.exit_code in (18, 56, 92) or reply.status == 502, reply


def test_chunks_are_unwrapped_for_http10(mono, version):
    reply = call(mono, version, "newer", "/mono/chunks")
    assert (reply.exit_code, reply.body) == (0, b"onetwothree")
    assert ("transfer-encoding" in reply.headers) == (version == HTTP11)


def test_a_chunked_upload_passes(mono):
    body = os.urandom(200_000)
    more = ("-H", "Transfer-Encoding: chunked", "-H", "Expect:", "--data-binary", "@-")
    reply = call(mono, HTTP11, "newer", "/mono/up", *more, stdin=body)
    assert (reply.json["length"], reply.json["digest"]) == (len(body), hashlib.sha256(body).hexdigest())
    # Over HTTP/2 an upload of unknown length.
    reply = call(mono, HTTP2, "newer", "/mono/up", "-H", "Expect:", "-T", "-", "-X", "POST", stdin=body)
    assert (reply.json["length"], reply.json["digest"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_fields_of_the_hop_stay_on_the_hop(mono, version):
    more = ("-H", "X-Mine: 1", "-H", "Keep-Alive: 5", "-H", "Proxy-Connection: close")
    if version != HTTP2:
        more += ("-H", "Connection: X-Mine")
    headers = dict(call(mono, version, "newer", "/mono/x", *more).json["headers"])
    assert not {"keep-alive", "proxy-connection", "te", "http2-settings"} & headers.keys()
    assert ("x-mine" in headers) == (version == HTTP2)


def test_nc_that_half_closes_gets_the_monoliths_answer(mono):
    reply = netcat(mono.port, b"GET /mono/nc HTTP/1.0\r\nHost: old.example\r\n\r\n")
    assert reply.json["path"] == "/mono/nc"


def test_an_upgrade_becomes_a_tunnel_both_ways(mono):
    head = b"GET /chat HTTP/1.1\r\nHost: upgrader.example\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"
    with socket.create_connection(("127.0.0.1", mono.port), timeout=PATIENCE) as connection:
        # The first words come with the head, before the answer to it is known.
        connection.sendall(head)
        got = b""
        while not got.endswith(b"HELLO "):
            piece = connection.recv(65536)
            assert piece, got
            got += piece
        assert got.startswith(b"HTTP/1.1 101 ") and b"upgrade: shout" in got.lower() and b"x-key: " in got.lower()
        for word in (b"one", b"two", b"x" * 100_000):
            connection.sendall(word)
            heard = b""
            while len(heard) < len(word):
                heard += connection.recv(65536)
            assert heard == word.upper()
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b" BYE"


def test_a_refused_upgrade_is_an_answer_like_any_other(mono):
    reply = call(mono, HTTP11, "upgrader", "/chat", "-H", "Connection: Upgrade", "-H", "Upgrade: whisper")
    assert reply.status == 426


def test_ab_finds_the_monolith_unchanged(mono):
    for more in ((), ("-k",)):
        for host in ("old", "newer"):
            ab(mono.url + "/mono/x", 300, 8, "-H", f"Host: {host}.example", *more).check(300)


def test_grpc_may_be_carried_untranslated_over_http2(mono):
    options = [("grpc.default_authority", "blind.example"), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(mono.authority, options=options) as channel:
        stub = probe_pb2_grpc.ProbeStub(channel)
        assert stub.Unary(probe_pb2.Ask(text="blind"), timeout=10).replica == "r4"
        assert len(list(stub.Expand(probe_pb2.Ask(count=10), timeout=10))) == 10
        with pytest.raises(grpc.RpcError) as raised:
            stub.Unary(probe_pb2.Ask(fail_code=5, fail_message="n"), timeout=10)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_monolith_that_is_away_is_503(mono):
    mono.table("newer", {"127.0.0.1:1": 1})
    until("the table is in force", lambda: mono.weights("newer") == {"127.0.0.1:1": 1})
    assert call(mono, HTTP10, "newer", "/mono/x").status == 503
