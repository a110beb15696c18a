"""Pages of another origin in a real browser: preflights, and calls by Connect-ES and grpc-web."""

import http.server
import json
import queue
import shutil
import subprocess
import tempfile
import threading

import pytest

import harness

# Without a word to the outside, and with nothing of it kept.
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-dev-shm-usage --disable-default-apps""".split()
LIMIT = 60


@pytest.fixture(scope="module")
def bundle():
    """The page's script with all that it imports."""
    out = harness.BUILD / "node" / "page.bundle.js"
    command = ["node_modules/.bin/esbuild", "page.js", "--bundle", "--format=iife", f"--outfile={out}", "--log-level=warning"]
    subprocess.run(command, cwd=harness.BUILD / "node", check=True, timeout=LIMIT)
    return out.read_bytes()


class Pages:
    """Serves the page, and takes what it found."""

    def __init__(self, script):
        self.results = queue.Queue()
        files = {
            "/": ("text/html; charset=utf-8", b"<!doctype html><script src=/page.js></script>"),
            "/page.js": ("text/javascript; charset=utf-8", script),
            "/probe.binpb": ("application/octet-stream", harness.DESCRIPTORS.read_bytes()),
        }
        results = self.results

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kind, content = files.get(self.path.partition("?")[0], ("text/plain", b""))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def pages(bundle):
    with harness.running(Pages(bundle)) as pages:
        yield pages


@pytest.fixture(scope="module")
def shared(directory, servlet, pages):
    """A Telamon that speaks for the page's origin."""
    telamon = harness.Telamon(directory / "shared")
    allow = f'cors: {{ allow_origins: ["http://127.0.0.1:{pages.port}"], allow_headers: [x-echo-word], expose_headers: ["*"] }}\n'
    telamon.write("servlets/probe.yaml", "schema: ../protos/probe.proto\nservices: [probe.v1.Probe]\n" + allow)
    telamon.table("probe", {servlet.replicas[name]: 1 for name in ("r1", "r2")})
    with harness.running(telamon):
        yield telamon.start()


def visit(pages, url):
    """What a page found out."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "there is no Chromium here"
    with tempfile.TemporaryDirectory(prefix="telamon-browser-", ignore_cleanup_errors=True) as profile:
        command = [browser, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return pages.results.get(timeout=LIMIT)
        finally:
            process.terminate()
            process.wait(harness.PATIENCE)


@pytest.mark.timeout(150)
def test_a_page_of_another_origin_calls_in_every_dialect(shared, pages):
    got = visit(pages, f"http://127.0.0.1:{pages.port}/?telamon={shared.url}")
    assert "broke" not in got, got["broke"]
    for name in ("connect json", "connect proto", "grpc-web"):
        page = got[name]
        assert (page["text"], page["payload"]) == ("from a page", [0, 255, 128]), name
        assert (page["head"], page["trailer"]) == ("yes", "yes"), name
        assert page["indices"] == list(range(20)), name
        assert page["error"] == {"code": "NotFound", "message": "näh", "notes": ["a", "b"]}, name
        assert page["late"]["code"] == "DeadlineExceeded", name
        assert (page["before"], page["failing"]["code"]) == ([0, 1, 2], "ResourceExhausted"), name
    for form in ("text", "binary"):
        page = got[f"grpc-web {form}"]
        assert (page["unary"]["text"], page["unary"]["payload"]) == ("from a page", [0, 255, 128]), form
        assert page["unary"]["head"] == "yes", form
        assert page["error"] == {"code": 5, "message": "näh"}, form
    text = got["grpc-web text"]
    assert text["expanded"] == {"indices": list(range(20))}
    assert text["failing"] == {"indices": [0, 1, 2], "code": 8, "message": "enough"}
    assert got["rest"]["text"] == "plain"


@pytest.mark.timeout(150)
def test_a_page_of_an_origin_that_is_not_allowed_gets_nothing(shared, pages):
    got = visit(pages, f"http://localhost:{pages.port}/?telamon={shared.url}#refused")
    assert got == {"refused": "TypeError"}
