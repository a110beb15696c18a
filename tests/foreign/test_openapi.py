"""The OpenAPI documents that Telamon prints, held against a public validator of the specification."""

import json
import subprocess

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from harness import PROTO, ROOT, TELAMON

DEMO = "schema: ../protos/bakery.proto\nservices: [demo.v1.Bakery]\n"
PROBE = """schema: ../protos/probe.proto
services: [probe.v1.Probe]
routes:
  - { match: { host: "*.example", path: /old/**, method: GET }, call: probe.v1.Probe/Unary }
  - { match: { path: /any/*/x, headers: { x-tenant: acme } }, call: probe.v1.Probe/Unary }
"""


def document(servlet, config):
    command = [TELAMON, "openapi", servlet, "--config", config]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(params=["echo", "greeter", "bakery", "probe"])
def printed(request, tmp_path):
    if request.param in ("echo", "greeter"):
        return document(request.param, ROOT / "config" / "telamon.yaml")
    schema, text = (ROOT / "src/demo/bakery.proto", DEMO) if request.param == "bakery" else (PROTO, PROBE)
    for name in ("servlets", "endpoints", "protos"):
        (tmp_path / name).mkdir()
    (tmp_path / "protos" / schema.name).write_text(schema.read_text())
    (tmp_path / "telamon.yaml").write_text("listeners: [{ name: in, address: 127.0.0.1:0 }]\n")
    (tmp_path / "servlets" / f"{request.param}.yaml").write_text(text)
    (tmp_path / "endpoints" / f"{request.param}.yaml").write_text("endpoints: []\n")
    return document(request.param, tmp_path / "telamon.yaml")


def test_it_is_valid(printed):
    assert printed["paths"]
    validate(printed, cls=OpenAPIV31SpecValidator)


def test_its_schemas_are_json_schema(printed):
    for name, schema in printed["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)


def test_every_operation_answers_with_a_status_when_it_fails(printed):
    for path in printed["paths"].values():
        for operation in path.values():
            fails = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert fails == {"$ref": "#/components/schemas/google.rpc.Status"}
