"""An old web application as it might be found: a login form, a session in a cookie, uploads, downloads, a long report."""

import hashlib
import io
import time

from flask import Flask, Response, redirect, request, send_file, session, url_for

app = Flask(__name__)
app.secret_key = "an example keeps no secrets"
files = {}


@app.get("/")
def home():
    if "user" not in session:
        return redirect(url_for("login"))
    return f"<h1>Good day, {session['user']}</h1>"


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return '<form method="post"><input name="user"><input name="password" type="password"><button>Log in</button></form>'
    if request.form["password"] != "sesame":
        return Response("<p>Wrong password</p>", 403)
    session["user"] = request.form["user"]
    return redirect(url_for("home"))


@app.get("/logout")
def logout():
    session.clear()
    answer = redirect(url_for("login"))
    answer.set_cookie("seen", "1", max_age=60)
    return answer


@app.post("/files")
def upload():
    """A file from a form."""
    file = request.files["file"]
    files[file.filename] = file.read()
    return {"name": file.filename, "type": file.mimetype, "size": len(files[file.filename])}, 201


@app.get("/files/<name>")
def download(name):
    if name not in files:
        return "no such file\n", 404
    return send_file(io.BytesIO(files[name]), "application/octet-stream", as_attachment=True, download_name=name)


@app.put("/digest")
def digest():
    """Reads a body of any length as it comes, and keeps none of it."""
    digest, length = hashlib.sha256(), 0
    while piece := request.stream.read(64 * 1024):
        digest.update(piece)
        length += len(piece)
    return {"length": length, "sha256": digest.hexdigest()}


@app.get("/report/<int:lines>")
def report(lines):
    """Comes line by line, as it is worked out."""

    def work():
        for line in range(lines):
            yield f"line {line}\n"
            time.sleep(0.01)

    return Response(work(), mimetype="text/plain")


@app.get("/torn")
def torn():
    def work():
        yield "the first half\n"
        raise RuntimeError("there is no second half")

    return Response(work(), mimetype="text/plain")


@app.get("/fails")
def fails():
    raise RuntimeError("an error that Flask tells of itself")


@app.get("/seen")
def seen():
    """What the application knows of its caller."""
    names = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "SERVER_NAME", "SERVER_PORT", "REMOTE_ADDR", "REQUEST_URI"]
    return {name: request.environ[name] for name in names} | {"headers": [list(header) for header in request.headers]}
