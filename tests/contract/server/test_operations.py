"""Routes and options for the operator: readiness, load, browsers, limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx
import pytest
from starlette.routing import Route

from mock_server.app import create_app
from mock_server.settings import Cors, ServerSettings
from tests.contract.server.conftest import Facts
from tests.contract.server.wire import COMPLETIONS, QUESTION, error_of, post, wait_until_idle, wait_until_running
from tests.support.serving import Serving, simulated_engine


@pytest.mark.parametrize(
    ("path", "body"), [("/ready", b'{"status":"ready"}'), ("/ping", b""), ("/load", b'{"server_load":0}')]
)
def test_operator_routes_of_an_idle_server(http: httpx.Client, path: str, body: bytes) -> None:
    wait_until_idle(http)
    answer = http.get(path)
    assert (answer.status_code, answer.content) == (200, body)


def test_ping_accepts_post(http: httpx.Client) -> None:
    assert http.post("/ping").status_code == 200


def test_load_reports_the_number_of_generations_in_progress(server: Serving, http: httpx.Client, facts: Facts) -> None:
    wait_until_idle(http)
    body = {"messages": QUESTION, "max_tokens": facts.endless, "ignore_eos": True}
    connections = [post(server.root, {**body, "stream": stream}) for stream in (True, False)]
    wait_until_running(http, 2)
    assert http.get("/load").json() == {"server_load": 2}
    for connection in connections:
        connection.close()
    wait_until_idle(http)
    while http.get("/load", headers={"connection": "close"}).json()["server_load"]:
        pass


def test_unknown_routes_are_a_404_and_wrong_methods_a_405(http: httpx.Client) -> None:
    assert "There is no route GET /v1/nothing" in error_of(http.get("/v1/nothing"), 404)["message"]
    assert "does not support GET" in error_of(http.get(COMPLETIONS), 405)["message"]


def test_every_route_is_described_and_every_reference_leads_somewhere(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    served = {
        (route.path.replace(":path", ""), method.lower())
        for route in create_app(simulated_engine()).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served - described == {("/openapi.json", "get"), ("/ping", "post")}
    assert described <= served
    schemas = document["components"]["schemas"]
    references = re.findall(r"#/components/schemas/([^\"]+)", json.dumps(document))
    assert len(references) > 20
    assert set(references) <= set(schemas)


def test_a_request_above_the_limit_gets_a_429_with_retry_after(
    started: Callable[[ServerSettings], Serving], facts: Facts
) -> None:
    narrow = started(ServerSettings(max_requests=1))
    body = {"messages": QUESTION, "max_tokens": facts.endless, "ignore_eos": True}
    with httpx.Client(base_url=narrow.root, timeout=120) as http:
        taking_the_place = post(narrow.root, body)
        wait_until_running(http, 1)
        refusal = http.post(COMPLETIONS, json={"prompt": "a"})
        assert error_of(refusal, 429)["code"] == "too_many_requests"
        assert refusal.headers["retry-after"] == "1"
        assert http.get("/health").status_code == 200
        taking_the_place.close()
        wait_until_idle(http)
        while (answer := http.post(COMPLETIONS, json={"prompt": "a"}, headers={"connection": "close"})).is_error:
            assert answer.status_code == 429
        rejected = 'admission_rejections_total{engine="0",model_name="sim-chat",reason="too_many_requests"}'
        assert rejected in http.get("/metrics").text or not facts.makes_sense


class TestPagesInBrowsers:
    @pytest.fixture(scope="class")
    @staticmethod
    def open_server(started: Callable[[ServerSettings], Serving]) -> Serving:
        return started(ServerSettings(api_keys=("key",), cors=Cors(origins=("https://page.example",))))

    def test_an_allowed_page_may_send_requests_and_read_refusals(self, open_server: Serving) -> None:
        asking = {"origin": "https://page.example", "access-control-request-method": "POST",
                  "access-control-request-headers": "authorization,content-type"}  # fmt: skip
        allowed = httpx.options(open_server.root + COMPLETIONS, headers=asking)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://page.example"
        assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
        refusal = httpx.post(open_server.root + COMPLETIONS, json={"prompt": "a"}, headers=asking)
        assert error_of(refusal, 401)["code"] == "invalid_api_key"
        assert refusal.headers["access-control-allow-origin"] == "https://page.example"
        assert "x-request-id" in refusal.headers["access-control-expose-headers"].lower()

    def test_a_page_that_is_not_allowed_may_not(self, open_server: Serving) -> None:
        asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        refusal = httpx.options(open_server.root + COMPLETIONS, headers=asking)
        assert refusal.status_code == 400
        assert "access-control-allow-origin" not in refusal.headers

    def test_no_page_may_by_default(self, http: httpx.Client) -> None:
        answer = http.get("/v1/models", headers={"origin": "https://page.example"})
        assert "access-control-allow-origin" not in answer.headers
