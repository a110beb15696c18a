"""A schema that the servlet tells itself: by grpcio's reflection, annotations and all. It speaks the older version, v1alpha."""

import json
import signal

import pytest
from harness import PATIENCE, Servlet, Telamon, curl, free_port, running, until

ROUTES = """
routes:
  - { match: { method: GET, path: "/old/{text}/{count}" }, call: probe.v1.Probe/Unary, response_body: text }
"""


@pytest.fixture
def reflecting(directory):
    with running(Servlet("reflecting=127.0.0.1:0")) as servlet:
        yield servlet


def start(directory, services, address, more=""):
    telamon = Telamon(directory)
    telamon.write("servlets/probe.yaml", f"schema: reflection\nservices: {services}\n{more}")
    telamon.table("probe", {address: 1})
    return telamon


def asks(telamon, path="/v1/ask?text=hello"):
    return curl(f"{telamon.url}{path}", "--http1.0")


def answers(telamon, path="/v1/ask?text=hello"):
    """Waits for an answer of the servlet."""

    def answer():
        reply = asks(telamon, path)
        return reply if reply.status == 200 else None

    return json.loads(until("the schema is fetched", answer).body)


@pytest.mark.parametrize("services", ["[probe.v1.Probe]", '["probe.v1.*"]', '["*"]'])
def test_annotations_come_with_the_descriptors(tmp_path, reflecting, services):
    with running(start(tmp_path / "t", services, reflecting.replicas["reflecting"], ROUTES)) as telamon:
        telamon.start()
        assert answers(telamon)["text"] == "hello"
        assert json.loads(asks(telamon, "/v1/shelves/shelf/x/ask").body)["text"] == "shelf/x"
        assert json.loads(asks(telamon, "/old/words/3").body) == "words"
        assert json.loads(curl(f"{telamon.url}/probe.v1.Probe/Plain", "--json", '{"text":"plain"}').body)["text"] == "plain"
        assert asks(telamon, "/v1/nowhere").status == 404
        until("the schema is kept", (telamon.directory / ".telamon" / "probe.binpb").exists)


def test_a_servlet_that_comes_later_is_found_and_one_that_is_gone_is_remembered(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    with running(start(tmp_path / "t", "[probe.v1.Probe]", address)) as telamon:
        telamon.start()
        reply = asks(telamon)
        assert reply.status == 503 and "not fetched yet" in json.loads(reply.body)["message"]
        assert "only gRPC callers" in telamon.log()
        with running(Servlet(f"reflecting={address}")):
            answers(telamon)
            until("the schema is kept", (telamon.directory / ".telamon" / "probe.binpb").exists)
        telamon.stop()
        # Nobody is there to tell it, and a call gets as far as the endpoint that is not.
        telamon.start()
        reply = asks(telamon)
        assert reply.status == 503 and "not fetched" not in json.loads(reply.body)["message"]
        assert "fetched last" in telamon.log()
        telamon.signal(signal.SIGHUP)
        with running(Servlet(f"reflecting={address}")):
            assert answers(telamon)["text"] == "hello"
