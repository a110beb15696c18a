"""The proxies, each as its own users would run it for this work: one worker, nothing logged, connections kept on both sides.
`config/` has their files; Telamon's are written here, since `scale.py` wants them in many sizes."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from string import Template

import install

CONFIG = install.HERE / "config"
WEIGHTS = (3, 2, 1)
SYSTEM_PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

_cores = sorted(os.sched_getaffinity(0))
PROXY_CORE = _cores[0]
ENDS_CORE = _cores[-1]
# For the second worker, where there is one to spare.
SECOND_CORE = _cores[1] if len(_cores) > 2 else ENDS_CORE


def free_ports(count):
    """Held all at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def pinned(cores, command):
    return ["taskset", "-c", ",".join(str(core) for core in cores), *map(str, command)]


class Failed(Exception):
    """A program did not start, or broke off."""


class Process:
    """A program that runs until it is left; what it says is kept in a file."""

    def __init__(self, name, command, log, cores=(PROXY_CORE,), **options):
        self.name = name
        self.log = log
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                pinned(cores, command), stdout=options.pop("stdout", output), stderr=output,
                stdin=options.pop("stdin", subprocess.DEVNULL), **options,
            )

    @property
    def pid(self):
        return self.child.pid  # taskset becomes the program

    def wait_for(self, ports, seconds=120):
        end = time.monotonic() + seconds
        for port in ports:
            while True:
                if self.child.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{self.name} does not serve:\n{self.tail()}")
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.02)

    def tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self):
        self.child.kill()
        self.child.wait()


class Backends(Process):
    """Three ports that answer everything; see `ends/src/backend.rs`."""

    def __init__(self, ends, directory, host="127.0.0.1"):
        self.ports = free_ports(len(WEIGHTS))
        addresses = [f"{host}:{port}" for port in self.ports]
        super().__init__("the backend", [ends, "backend", *addresses], directory / "backend.log", (ENDS_CORE,))
        self.addresses = [f"127.0.0.1:{port}" for port in self.ports]
        self.wait_for(self.ports)


class Proxy(Process):
    """`ports` says where it takes which kind of call; a kind that is not there it cannot."""

    def __init__(self, name, command, directory, ports, cores=(PROXY_CORE,)):
        self.ports = ports
        super().__init__(name, command, directory / f"{name}.log", cores)
        try:
            self.wait_for(sorted(set(ports.values())))
        except Failed:
            self.stop()
            raise


class Kind:
    """A peer that can be started, and asked for its version."""

    def __init__(self, name, title, start, version):
        self.name, self.title, self.start, self._version = name, title, start, version

    def version(self):
        text = subprocess.run(self._version, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        found = re.search(r"\d+\.\d+\.\d+", text)
        return found.group() if found else "unknown"


def _filled(file, directory, backends, ports, **more):
    """A peer's configuration with this run's ports in it."""
    names = {letter: address for letter, address in zip("abc", backends.addresses)}
    names |= {f"{letter}_port": port for letter, port in zip("abc", backends.ports)}
    path = directory / file
    path.write_text(Template((CONFIG / file).read_text()).substitute(names, directory=directory, **ports, **more))
    return path


def _ports(*kinds):
    return dict(zip(kinds, free_ports(len(kinds))))


def envoy(descriptors):
    binary = install.VENV / "bin/envoy"

    def start(directory, backends):
        ports = _ports("grpc", "json", "plain")
        config = _filled("envoy.yaml", directory, backends, ports, descriptors=descriptors)
        command = [binary, "-c", config, "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
        return Proxy("envoy", command, directory, ports)

    return Kind("envoy", "Envoy", start, [binary, "--version"])


def _packaged(name, title, config, arguments, version):
    """A peer that Debian has, which cannot translate. `arguments`: the command line around its configuration's path."""
    binary = shutil.which(name, path=SYSTEM_PATH)

    def start(directory, backends):
        ports = _ports("grpc", "plain")
        return Proxy(name, [binary, *arguments(_filled(config, directory, backends, ports))], directory, ports)

    return Kind(name, title, start, [binary, version])


def haproxy():
    return _packaged("haproxy", "HAProxy", "haproxy.cfg", lambda config: ["-db", "-f", config], "-v")


def nginx():
    return _packaged("nginx", "nginx", "nginx.conf", lambda config: ["-c", config, "-e", "stderr"], "-v")


def pingora(binary):
    def start(directory, backends):
        ports = _ports("grpc", "plain")
        spread = [f"{address}={weight}" for address, weight in zip(backends.addresses, WEIGHTS)]
        return Proxy("pingora", [binary, ports["grpc"], ports["plain"], *spread], directory, ports)

    lock = (install.HERE / "pingora/Cargo.lock").read_text()
    version = re.search(r'name = "pingora"\nversion = "([^"]+)"', lock).group(1)
    return Kind("pingora", "Pingora", start, ["echo", version])


def telamon(binary, name="telamon", title="Telamon"):
    def start(directory, backends):
        return telamon_of(binary, name, directory / name, telamon_files(backends))

    return Kind(name, title, start, [binary, "--version"])


def telamon_files(backends, more={}):
    """Two servlets for the works that are measured, and `more` of them: what is in `servlets/NAME.yaml`, by the name."""
    servlets = {
        "bench": "schema: ../bench.proto\nservices: [bench.v1.Bench]\n",
        "plain": "upstream: http1\nroutes:\n  - match: { path: /plain }\n",
    } | more
    files = {"bench.proto": (install.HERE / "bench.proto").read_text()}
    for name, text in servlets.items():
        files[f"servlets/{name}.yaml"] = text
        files[f"endpoints/{name}.yaml"] = endpoints(zip(backends.addresses, WEIGHTS))
    return files


def endpoints(table):
    return "endpoints:\n" + "".join(f"  - {{ address: {address}, weight: {weight} }}\n" for address, weight in table)


def telamon_of(binary, name, directory, files, workers=1, cores=(PROXY_CORE,), more=""):
    """Telamon on these files, and whatever kind of call on one port. `more`: further lines of `telamon.yaml`."""
    port, admin = free_ports(2)
    head = (
        f"workers: {workers}\nlisteners:\n  - {{ name: in, address: 127.0.0.1:{port} }}\n"
        f"admin: {{ address: 127.0.0.1:{admin} }}\nlimits: {{ connections: 8000, idle_timeout: 10m }}\n{more}"
    )
    for path, text in ({"telamon.yaml": head} | files).items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    ports = {"grpc": port, "json": port, "plain": port}
    began = time.monotonic()
    proxy = Proxy(name, [binary, "run", "--config", directory / "telamon.yaml"], directory, ports, cores)
    proxy.ready_after = time.monotonic() - began
    proxy.directory, proxy.admin = directory, admin
    return proxy
