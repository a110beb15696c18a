"""Many calls at once, by ab and h2load: none may fail, and shares follow the weights."""

import pytest
from harness import QuickServlet, Telamon, ab, h2load, running
from probe.v1 import probe_pb2

UNARY = "/probe.v1.Probe/Unary"
WEIGHTS = (3, 2, 1)


def grown(servlet, before):
    """What each replica has served since."""
    after = servlet.served()
    return {name: after.get(name, 0) - before.get(name, 0) for name in after if after.get(name, 0) > before.get(name, 0)}


@pytest.mark.parametrize("more", [(), ("-k",)], ids=["a connection a call", "kept alive"])
def test_ab_sees_no_failure(telamon, servlet, more):
    before = servlet.served()
    load = ab(telamon.url + "/v1/ask?text=ab", 2000, 16, *more).check(2000)
    assert ("Keep-Alive requests:    2000" in load.output) == bool(more), load.output
    assert sum(grown(servlet, before).values()) == 2000


def test_ab_posts_without_failure(telamon, servlet, tmp_path):
    body = tmp_path / "body.json"
    body.write_text('{"text":"posted","nested":{"numbers":[1,2,3]}}')
    before = servlet.served()
    ab(telamon.url + "/v1/ask", 1000, 8, "-p", str(body), "-T", "application/json").check(1000)
    assert sum(grown(servlet, before).values()) == 1000


@pytest.mark.parametrize("connections, streams", [(1, 1), (4, 16), (32, 4)])
def test_h2load_sees_no_failure(telamon, servlet, connections, streams):
    before = servlet.served()
    bad = telamon.total("telamon_faults_total")
    h2load(telamon.url + UNARY, probe_pb2.Ask(text="h").SerializeToString(), 3000, connections, streams).check(3000)
    # A gRPC error is a 200 to h2load: the servlet counts what went well.
    assert sum(grown(servlet, before).values()) == 3000
    assert telamon.total("telamon_faults_total") == bad


@pytest.fixture(scope="module")
def quick():
    with running(QuickServlet(3, milliseconds=10)) as servlet:
        yield servlet


@pytest.fixture(scope="module")
def weighted(directory, quick):
    """Three replicas 3:2:1 with 10 ms of work."""
    telamon = Telamon(directory / "weighted")
    telamon.write("servlets/probe.yaml", "schema: ../protos/probe.proto\nservices: [probe.v1.Probe]\n")
    telamon.table("probe", dict(zip(quick.addresses, WEIGHTS)))
    with running(telamon):
        yield telamon.start()


def check_shares(quick, number, send):
    """Sends this many calls: each replica is within 2 % of the share that its weight promises."""
    before = quick.served()
    send()
    counts = [after - then for after, then in zip(quick.served(), before)]
    assert sum(counts) == number
    errors = [count / number / (weight / sum(WEIGHTS)) - 1 for count, weight in zip(counts, WEIGHTS)]
    assert max(map(abs, errors)) <= 0.02, f"{counts} of {number}, off by {[f'{error:+.1%}' for error in errors]}"


@pytest.mark.parametrize("in_flight, number", [(1, 1200), (4, 2400), (16, 6000), (64, 18000)])
def test_shares_follow_the_weights_whatever_is_in_flight(weighted, quick, in_flight, number):
    connections = 4 if in_flight >= 16 else 1
    streams = in_flight // connections
    body = probe_pb2.Ask().SerializeToString()
    check_shares(quick, number, lambda: h2load(weighted.url + UNARY, body, number, connections, streams).check(number))


@pytest.mark.parametrize("more", [(), ("-k",)], ids=["a connection a call", "kept alive"])
def test_http10_callers_are_spread_by_the_same_weights(weighted, quick, more):
    """Two workers, each with an order of its own: together they keep to the weights."""
    check_shares(quick, 3000, lambda: ab(weighted.url + "/v1/ask", 3000, 12, *more).check(3000))


def test_observed_shares_are_shown_beside_the_expected(weighted, quick):
    endpoints = weighted.endpoints("probe")
    total = sum(quick.served())
    assert [endpoint["requests"] for endpoint in endpoints] == quick.served()
    assert [round(endpoint["expected_share"], 4) for endpoint in endpoints] == [0.5, 0.3333, 0.1667]
    for endpoint, served in zip(endpoints, quick.served()):
        assert abs(endpoint["observed_share_10m"] - served / total) < 0.01
        assert endpoint["in_flight"] == 0 and endpoint["failures"] == 0 and endpoint["why"]
