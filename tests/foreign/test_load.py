"""Many calls at once, by ab and h2load: none may fail, and shares follow the weights."""

import pytest
from harness import ab, h2load, until
from probe.v1 import probe_pb2

UNARY = "/probe.v1.Probe/Unary"
WEIGHTS = {"r1": 3, "r2": 2, "r3": 1}


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


@pytest.mark.parametrize("in_flight, number", [(1, 1200), (4, 2400), (16, 4800), (64, 6000)])
def test_shares_follow_the_weights(telamon, servlet, in_flight, number):
    """Three replicas 3:2:1 with 10 ms of work: each within 2 % of its share, whatever is in flight."""
    weights = {servlet.replicas[name]: weight for name, weight in WEIGHTS.items()}
    telamon.table("probe", weights)
    until("the weights are in force", lambda: telamon.weights("probe") == weights)
    before = servlet.served()
    body = probe_pb2.Ask(delay_ms=10).SerializeToString()
    connections = 4 if in_flight >= 16 else 1
    h2load(telamon.url + UNARY, body, number, connections, in_flight // connections).check(number)
    counts = grown(servlet, before)
    assert sum(counts.values()) == number
    shares = {name: counts[name] / number for name in WEIGHTS}
    errors = {name: shares[name] / (weight / sum(WEIGHTS.values())) - 1 for name, weight in WEIGHTS.items()}
    assert max(map(abs, errors.values())) <= 0.02, f"{in_flight} in flight: {shares}, off by {errors}"


def test_http10_callers_are_spread_by_the_same_weights(telamon, servlet):
    """A connection a call, to two workers: the order of both together."""
    before = servlet.served()
    ab(telamon.url + "/v1/ask?delayMs=10", 1800, 12).check(1800)
    counts = grown(servlet, before)
    errors = {name: counts[name] / 1800 / (weight / 6) - 1 for name, weight in WEIGHTS.items()}
    assert max(map(abs, errors.values())) <= 0.02, f"{counts}, off by {errors}"


def test_observed_shares_are_shown_beside_the_expected(telamon):
    endpoints = telamon.endpoints("probe")
    assert [round(endpoint["expected_share"], 4) for endpoint in endpoints] == [0.5, 0.3333, 0.1667]
    assert all(abs(endpoint["observed_share_10m"] - endpoint["expected_share"]) < 0.2 for endpoint in endpoints)
    assert all(endpoint["requests"] > 0 and endpoint["in_flight"] == 0 for endpoint in endpoints)
    assert all(endpoint["state"] in ("serving", "penalised") and endpoint["why"] for endpoint in endpoints)
