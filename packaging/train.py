"""Has an instrumented build carry the calls that a packaged one is to be fast at: those that are measured (`benches/peers`), and others,
since what is never used is made small and slow. Left out are errors, compression, what comes in parts (forms with files, client streams),
and, over HTTP/2, every dialect but gRPC. Calls that go wrong end it. `train.py PROGRAM`; the program writes its profile as it ends."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benches/peers"))

import install  # noqa: E402
import measure  # noqa: E402
import proxies  # noqa: E402
from works import WORKS, Work  # noqa: E402

# Of each, so that what one of them alone runs is far from what a compiler takes for cold (a millionth of all that is run).
CALLS = 6000
# Fewer of what carries 100 kB.
LARGE = 0.1


def beside(call, protocol="http11", share=1.0):
    return Work(call, call, call, protocol, 8, 1, "plain", share)


# What no row measures.
OTHERS = (
    *(beside(f"order{kind}") for kind in ("", "_query", "_form", "_wire", "_connect", "_proto", "_web", "_grpc")),
    beside("order", "http10"),
    *(beside(f"texts{kind}", share=0.5) for kind in ("", "_lines", "_events")),
    beside("page"),
    beside("page_upload", share=LARGE),
    beside("plain_upload", share=LARGE),
    beside("plain", "http10"),
)


PAGES = {"pages": "routes:\n  - { match: { path: /page }, call: telamon.v1.HttpServlet/Serve }\n"}


def trained(program, directory, backends, driver, works, more=""):
    proxy = proxies.telamon_of(program, "telamon", directory, proxies.telamon_files(backends, PAGES), more=more)
    try:
        for work in works:
            calls = max(int(CALLS * work.share), work.connections * work.streams)
            print(f"training: {calls:>5} of {work.call} over {work.protocol}", file=sys.stderr, flush=True)
            sample = driver.call(proxy, work, calls)
            if sample.wrong:
                sys.exit(f"{sample.wrong} of {calls} calls of {work.call} went wrong: {sample.why}")
        proxy.child.send_signal(signal.SIGTERM)
        if proxy.child.wait(60) != 0:
            sys.exit(f"the instrumented program ended with {proxy.child.returncode}:\n{proxy.tail()}")
    except proxies.Failed as failed:
        sys.exit(f"{failed}\n{proxy.tail()}")
    finally:
        if proxy.child.poll() is None:
            proxy.stop()


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: train.py PROGRAM")
    # Whoever ends us ends the proxy and the backends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ends = install.ends()
    with tempfile.TemporaryDirectory(prefix="training") as directory:
        directory, program, driver = Path(directory), Path(sys.argv[1]).resolve(), measure.Driver(ends)
        backends = proxies.Backends(ends, directory)
        try:
            trained(program, directory / "quiet", backends, driver, WORKS)
            trained(program, directory / "logging", backends, driver, OTHERS, "access_log: ./access.log\n")
        finally:
            backends.stop()


main()
