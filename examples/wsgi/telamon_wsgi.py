"""Serves a WSGI application (PEP 3333) as a servlet of telamon.v1.HttpServlet: an old Python web application behind gRPC, unchanged.

    python telamon_wsgi.py shop:app --listen 127.0.0.1:50071

It needs grpcio, and the code that grpcio-tools makes from proto/telamon/v1/http_servlet.proto; README.md has the commands.
"""

import argparse
import concurrent.futures
import http
import importlib
import io
import signal
import sys
import threading
import urllib.parse

import grpc
from telamon.v1 import http_servlet_pb2 as pb
from telamon.v1 import http_servlet_pb2_grpc

# Bytes of a body in one message. Telamon carries any size up to its limit of a message; these cost little memory and few calls.
PIECE = 64 * 1024

# What a caller may be kept waiting for its turn is for Telamon to say; a thread is held for as long as its exchange lasts.
THREADS = 64


class RequestBody(io.RawIOBase):
    """The body of a request as it arrives. What is not read stays with the caller."""

    def __init__(self, parts):
        self.parts = parts
        self.piece = memoryview(b"")

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.piece:
            try:
                part = next(self.parts, None)
            except grpc.RpcError as error:
                raise ConnectionError("the caller left in the middle of the request") from error
            if part is None or part.WhichOneof("part") == "trailers":
                return 0
            self.piece = memoryview(part.body)
        length = min(len(buffer), len(self.piece))
        buffer[:length] = self.piece[:length]
        self.piece = self.piece[length:]
        return length


def environment(head, body):
    """The environ of PEP 3333."""
    path, _, query = head.target.partition("?")
    host, _, port = head.authority.rpartition(":")
    if not port.isdigit():
        host, port = head.authority, "443" if head.scheme == "https" else "80"
    environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        # A native string of bytes, as the PEP has it.
        "PATH_INFO": urllib.parse.unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": head.target,
        "RAW_URI": head.target,
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": head.version,
        "REMOTE_ADDR": head.peer.address,
        "REMOTE_PORT": str(head.peer.port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": head.scheme,
        "wsgi.input": io.BufferedReader(RequestBody(body), PIECE),
        # The end of the body is the end of the input: an upload without a Content-Length can be read as well.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for field in head.fields:
        key = field.name.upper()
        # `a_b` and `a-b` would be the same variable: a way to forge a field. HTTP_PROXY is taken for a setting by HTTP libraries.
        if "_" in key or key == "PROXY":
            continue
        key = key.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        value = field.value.decode("latin-1")
        if key in environ:
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
        environ[key] = value
    return environ


class Answer:
    """What the application says of its answer, and when it may no longer change its mind."""

    def __init__(self):
        self.head = None
        self.sent = False
        # What was written in the old way, through what `start_response` gives; it goes out before the iterable.
        self.written = []

    def start(self, status, headers, exc_info=None):
        try:
            if exc_info and self.sent:
                raise exc_info[1].with_traceback(exc_info[2])
            if self.head is not None and not exc_info:
                raise AssertionError("start_response was called twice")
        finally:
            exc_info = None
        code, _, reason = status.partition(" ")
        self.head = pb.ResponseHead(status=int(code), reason=printable(int(code), reason))
        for name, value in headers:
            self.head.fields.add(name=name, value=value.encode("latin-1"))
        return self.written.append

    def begin(self):
        """The head, once."""
        if self.sent:
            return
        if self.head is None:
            raise AssertionError("the application gave a body before it called start_response")
        self.sent = True
        yield pb.HttpResponse(head=self.head)


def printable(code, reason):
    """The reason, unless it is the usual one or cannot be said in protobuf's text."""
    try:
        usual = http.HTTPStatus(code).phrase
    except ValueError:
        usual = None
    return "" if reason == usual else reason.encode("ascii", "replace").decode()


def pieces(data):
    """Non-empty bytes in messages of a bounded size."""
    for start in range(0, len(data), PIECE):
        yield pb.HttpResponse(body=data[start : start + PIECE])


class Servicer(http_servlet_pb2_grpc.HttpServletServicer):
    """Each exchange is one call of the application, in a thread of its own."""

    def __init__(self, application):
        self.application = application

    def Serve(self, request, context):
        first = next(request, None)
        if first is None or first.WhichOneof("part") != "head":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a request begins with its head")
        # An answer to HEAD has no body, whatever the application makes.
        bodiless = first.head.method == "HEAD"
        answer = Answer()
        # Whatever the application raises ends the call with an error: an HTTP 500 before the head, a broken answer after it.
        result = self.application(environment(first.head, request), answer.start)
        try:
            for data in result:
                # An empty piece is not a reason to send the head yet: the application may still change it.
                if data or answer.written:
                    yield from answer.begin()
                    data = b"".join([*answer.written, data])
                    answer.written.clear()
                    if bodiless:
                        break
                    yield from pieces(data)
            yield from answer.begin()
            if answer.written and not bodiless:
                yield from pieces(b"".join(answer.written))
        finally:
            if hasattr(result, "close"):
                result.close()


def serve(application, address, threads=THREADS):
    """Starts a server; gives it, and the port it listens on."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(threads))
    http_servlet_pb2_grpc.add_HttpServletServicer_to_server(Servicer(application), server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def main():
    parser = argparse.ArgumentParser(description="Serves a WSGI application as a servlet of telamon.v1.HttpServlet.")
    parser.add_argument("application", help="module:name of the application, like shop:app")
    parser.add_argument("--listen", default="127.0.0.1:50071", help="address:port, or unix:path; port 0 picks a free one")
    parser.add_argument("--threads", type=int, default=THREADS, help="exchanges at the same time")
    options = parser.parse_args()
    module, _, name = options.application.partition(":")
    sys.path.insert(0, "")
    application = getattr(importlib.import_module(module), name or "application")
    server, port = serve(application, options.listen, options.threads)
    print(f"serving {options.application} on port {port}", flush=True)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    # Exchanges in flight may finish.
    server.stop(10).wait()


if __name__ == "__main__":
    main()
