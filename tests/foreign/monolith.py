"""The old monolith beside the new servlets, by Python's http.server: an HTTP/1.0 one, an HTTP/1.1 one, and one that upgrades."""

import base64
import hashlib
import http.server
import json
import socket
import socketserver
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives back what it saw, as JSON; a few paths do more."""

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def handle_any(self):
        body = self.body()
        match self.path.split("?")[0]:
            case "/mono/redirect":
                return self.reply(302, b"", ("Location", "/mono/elsewhere?a=b"))
            case "/mono/cookies":
                return self.reply(200, b"", ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2; HttpOnly"))
            case "/mono/missing":
                return self.reply(404, b"<h1>not here</h1>", ("Content-Type", "text/html"))
            case "/mono/close":
                # No length: the end of the connection is the end of the body.
                self.close_connection = True
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                return self.wfile.write(b"until the end" * 1000)
            case "/mono/cut":
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                return self.wfile.write(b"only this")
            case "/mono/chunks":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in (b"one", b"two", b"three"):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                return self.wfile.write(b"0\r\n\r\n")
        seen = {"method": self.command, "path": self.path, "version": self.request_version, "length": len(body)}
        seen["headers"] = [(name.lower(), value) for name, value in self.headers.items()]
        seen["digest"] = hashlib.sha256(body).hexdigest()
        return self.reply(200, json.dumps(seen).encode(), ("Content-Type", "application/json"))

    def reply(self, status, body, *headers):
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = handle_any


class Handler11(Handler):
    protocol_version = "HTTP/1.1"


class Upgrader(socketserver.StreamRequestHandler):
    """Switches to a protocol of its own, which says hello and then gives back what it hears, in capitals."""

    def handle(self):
        head = b""
        while line := self.rfile.readline():
            head += line
            if line == b"\r\n":
                break
        if b"upgrade: shout" not in head.lower():
            return self.wfile.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: shout\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n")
        key = base64.b64encode(hashlib.sha1(head).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shout\r\nConnection: Upgrade\r\nX-Key: %s\r\n\r\nHELLO " % key)
        while data := self.connection.recv(65536):
            self.wfile.write(data.upper())
        # The caller has said its last; we still have a word.
        self.wfile.write(b" BYE")
        self.connection.shutdown(socket.SHUT_WR)


class Monolith:
    """Serves on a thread until it is stopped."""

    def __init__(self, handler):
        kind = type("Server", (http.server.ThreadingHTTPServer,), {"daemon_threads": True, "request_queue_size": 128})
        self.server = kind(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
