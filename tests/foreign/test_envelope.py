"""An application in Flask behind `telamon.v1.HttpServlet`, by the example servlet, called as old clients do."""

import hashlib
import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import BUILD, HTTP2, HTTP10, HTTP11, PATIENCE, ROOT, Telamon, curl, raw, rss, running, until

EXAMPLE = ROOT / "examples" / "wsgi"
STUBS = BUILD / "envelope"


class WsgiServlet:
    """The example's servlet, running the example's application."""

    def __init__(self, application="shop:app"):
        paths = os.pathsep.join([str(STUBS), str(EXAMPLE)])
        command = [sys.executable, EXAMPLE / "telamon_wsgi.py", application, "--listen", "127.0.0.1:0"]
        environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True)
        hello = self.process.stdout.readline().strip()
        assert hello.startswith(f"serving {application} on port "), hello
        self.address = f"127.0.0.1:{hello.rsplit(' ', 1)[1]}"

    def stop(self):
        self.process.terminate()
        self.process.wait(2 * PATIENCE)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def flask():
    """The code for the contract, made as the example's README says."""
    STUBS.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--python_out={STUBS}", f"--grpc_python_out={STUBS}"]
    subprocess.run([*command, "telamon/v1/http_servlet.proto"], check=True)
    with running(WsgiServlet()) as servlet:
        yield servlet


@pytest.fixture(scope="module")
def shop(directory, flask):
    telamon = Telamon(Path(directory) / "shop")
    telamon.write("servlets/shop.yaml", 'routes:\n  - { match: { path: "/**" }, call: telamon.v1.HttpServlet/Serve }\n')
    telamon.table("shop", {flask.address: 1})
    with running(telamon):
        yield telamon.start()


@pytest.fixture(params=[pytest.param(HTTP10, id="1.0"), pytest.param(HTTP11, id="1.1"), pytest.param(HTTP2, id="2")])
def version(request):
    return request.param


def test_a_login_by_form_keeps_its_session_in_a_cookie(shop, version, tmp_path):
    jar = ("-b", tmp_path / "jar", "-c", tmp_path / "jar")
    first = curl(*version, *jar, shop.url + "/")
    assert (first.status, first["location"]) == (302, "/login")
    assert curl(*version, *jar, "-d", "user=ada&password=wrong", shop.url + "/login").status == 403
    entered = curl(*version, *jar, "-d", "user=ada l&password=sesame", shop.url + "/login")
    assert (entered.status, entered["location"]) == (302, "/")
    assert entered["set-cookie"].startswith("session=")
    assert curl(*version, *jar, shop.url + "/").body == b"<h1>Good day, ada l</h1>"
    # Two cookies in one answer stay two.
    left = curl(*version, *jar, shop.url + "/logout")
    assert sorted(cookie.split("=")[0] for cookie in left.headers["set-cookie"]) == ["seen", "session"]
    assert curl(*version, *jar, shop.url + "/").status == 302
    if version != HTTP2:
        # And curl follows by itself. (Over HTTP/2 with prior knowledge, curl 7.88 never sends the second request.)
        page = curl(*version, "-L", *jar, "-d", "user=bo&password=sesame", shop.url + "/login")
        assert (page.status, page.body) == (200, b"<h1>Good day, bo</h1>")


def test_files_go_up_and_down_byte_for_byte(shop, version, tmp_path):
    content = os.urandom(2_000_003)
    (tmp_path / "picture.bin").write_bytes(content)
    sent = curl(*version, "-H", "Expect:", "-F", f"file=@{tmp_path}/picture.bin;type=image/x-own", shop.url + "/files")
    assert (sent.status, sent.json) == (201, {"name": "picture.bin", "type": "image/x-own", "size": len(content)})
    got = curl(*version, shop.url + "/files/picture.bin")
    assert (got.status, got.body == content, int(got["content-length"])) == (200, True, len(content))
    assert "attachment" in got["content-disposition"] and "picture.bin" in got["content-disposition"]
    # Ranges, validators and HEAD are the application's own affair, and work.
    part = curl(*version, "-r", "10-19", shop.url + "/files/picture.bin")
    assert (part.status, part.body) == (206, content[10:20])
    head = curl(*version, "-I", shop.url + "/files/picture.bin")
    assert (head.status, head.exit_code, int(head["content-length"])) == (200, 0, len(content))
    assert curl(*version, shop.url + "/files/none").status == 404


def test_an_upload_is_a_stream(shop, flask, version):
    """Far larger than what either process may hold."""
    chunk = os.urandom(1 << 20)
    content = chunk * 64
    before = (rss(shop.process.pid), rss(flask.process.pid))
    expected = {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    done = curl(*version, "-H", "Expect:", "-X", "PUT", "--data-binary", "@-", shop.url + "/digest", stdin=content)
    assert done.json == expected
    after = (rss(shop.process.pid), rss(flask.process.pid))
    assert all(now - then < 40 << 20 for then, now in zip(before, after)), (before, after)
    if version != HTTP10:
        more = () if version == HTTP2 else ("-H", "Transfer-Encoding: chunked")
        done = curl(*version, *more, "-H", "Expect:", "-T", "-", shop.url + "/digest", stdin=content)
        assert done.json == expected, "of a length that nobody told"


def test_a_report_comes_line_by_line(shop):
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    connection.request("GET", "/report/50")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("content-length"), answer.getheader("connection")) == (200, None, "close")
    # The application takes half a second for all of it.
    assert answer.fp.readline() == b"line 0\n"
    rest = answer.read().splitlines()
    assert rest == [b"line %d" % line for line in range(1, 50)]
    connection.close()
    assert curl(*HTTP11, "-N", shop.url + "/report/3").body == b"line 0\nline 1\nline 2\n"


def test_http_client_keeps_its_connection(shop):
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=PATIENCE)
    for _ in range(3):
        connection.request("POST", "/login", "user=eve&password=sesame", {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("location")) == (302, "/")
        cookie = answer.getheader("set-cookie").split(";")[0]
        answer.read()
        connection.request("GET", "/", headers={"Cookie": cookie})
        assert connection.getresponse().read() == b"<h1>Good day, eve</h1>"
    connection.close()


def test_half_a_page_never_looks_whole(shop, version):
    torn = curl(*version, shop.url + "/torn")
    assert torn.exit_code in (18, 56, 92), torn
    whole = curl(*version, shop.url + "/fails")
    assert (whole.status, whole.exit_code) == (500, 0)
    assert b"Internal Server Error" in whole.body, "Flask's own page"


def test_the_application_sees_its_caller(shop):
    request = (
        b"GET /seen%2Fnot?x=%20&y HTTP/1.0\r\nHost: old.example:81\r\nX-Own: a\r\nX_Own: forged\r\nx-own: b\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\n\r\n"
    )
    assert raw(shop.port, request).status == 404
    seen = raw(shop.port, request.replace(b"%2Fnot", b"")).json
    headers = dict(seen.pop("headers"))
    assert seen == {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/seen",
        "QUERY_STRING": "x=%20&y",
        "REQUEST_URI": "/seen?x=%20&y",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "SERVER_NAME": "old.example",
        "SERVER_PORT": "81",
        "REMOTE_ADDR": "127.0.0.1",
    }
    assert (headers["X-Own"], headers["X-Forwarded-For"]) == ("a,b", "127.0.0.1")
    # One that names no host means the default.
    assert raw(shop.port, b"GET /seen HTTP/1.0\r\n\r\n").json["SERVER_NAME"] == "legacy.internal"


def test_it_is_counted_as_what_it_is(shop):
    before = shop.total("telamon_requests_total", dialect="envelope", protocol="HTTP/1.0")
    assert curl(*HTTP10, shop.url + "/login").status == 200
    counted = lambda: shop.total("telamon_requests_total", dialect="envelope", protocol="HTTP/1.0") == before + 1
    until("the call is counted", counted)


def test_a_servlet_that_is_away_is_503(shop, flask):
    shop.table("shop", {"127.0.0.1:1": 1})
    until("the table is in force", lambda: shop.weights("shop") == {"127.0.0.1:1": 1})
    away = curl(*HTTP10, shop.url + "/")
    assert (away.status, away["content-type"]) == (503, "application/json")
    shop.table("shop", {flask.address: 1})
    until("the table is in force", lambda: shop.weights("shop") == {flask.address: 1})
    assert curl(*HTTP10, shop.url + "/login").status == 200
