"""What the tests share: generated code, one servlet process with its replicas, and one Telamon in front of them."""

import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

import harness

def pytest_configure(config):
    """Code for the messages, made before any test is read."""
    import google.api
    import grpc_tools

    shutil.rmtree(harness.GENERATED, ignore_errors=True)
    harness.GENERATED.mkdir(parents=True)
    includes = [harness.HERE / "proto", Path(google.api.__path__[0]).parent.parent, Path(grpc_tools.__file__).parent / "_proto"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{include}" for include in includes)]
    command += [f"--descriptor_set_out={harness.DESCRIPTORS}", "--include_imports"]
    command += [f"--python_out={harness.GENERATED}", f"--grpc_python_out={harness.GENERATED}", "probe/v1/probe.proto"]
    subprocess.run(command, check=True)
    sys.path.insert(0, str(harness.GENERATED))


@pytest.fixture(scope="session")
def directory():
    """Short, because the path of a Unix socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="telamon-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def servlet(directory):
    replicas = [f"r{number}=127.0.0.1:0" for number in range(1, 5)]
    with harness.running(harness.Servlet(*replicas, f"local=unix:{directory}/servlet.sock")) as servlet:
        yield servlet


@pytest.fixture(scope="session")
def telamon(directory, servlet):
    """Three replicas behind all services, and routes that differ in their policy by host."""
    telamon = harness.Telamon(directory / "main")
    telamon.write("servlets/probe.yaml", "schema: ../protos/probe.proto\nservices: [probe.v1.Probe]\n")
    three = {servlet.replicas[name]: 1 for name in ("r1", "r2", "r3")}
    telamon.table("probe", three)
    telamon.write("servlets/hasty.yaml", routes("hasty.example", "endpoints: ../endpoints/probe.yaml\ntimeout: 400ms\n"))
    telamon.write("servlets/legacy.yaml", routes("legacy.internal", "endpoints: ../endpoints/probe.yaml\n", path="/old/**"))
    telamon.write("servlets/local.yaml", routes("local.example"))
    telamon.table("local", {servlet.replicas["local"]: 1})
    telamon.write("servlets/lame.yaml", routes("lame.example"))
    # Nobody listens on the first; it weighs the most.
    telamon.table("lame", {f"127.0.0.1:{harness.free_port()}": 10, servlet.replicas["r1"]: 1})
    with harness.running(telamon):
        yield telamon.start()


def routes(host, more="", path="/**"):
    """A servlet whose host leads to the method Unary."""
    line = f'  - {{ match: {{ host: {host}, path: "{path}" }}, call: probe.v1.Probe/Unary }}\n'
    return f"schema: ../protos/probe.proto\nroutes:\n{line}{more}"


@pytest.fixture
def key():
    """The name under which the servlet keeps what it sees of a call."""
    return uuid.uuid4().hex
