"""A proxy that the environment names is passed by, and that is said."""

from __future__ import annotations

import pytest

from bench.cli.main import main
from bench.load.proxies import unused_proxy
from bench.target import read_address
from tests.support.gateway import CHAT, answer, gateway
from tests.support.wire import WireServer

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "environment", "variable"),
    [
        ("http://h", {}, None),
        ("http://h", {"HTTP_PROXY": PROXY}, "HTTP_PROXY"),
        ("http://h", {"http_proxy": PROXY, "HTTP_PROXY": PROXY}, "http_proxy"),
        ("http://h", {"HTTPS_PROXY": PROXY}, None),
        ("https://h", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ("https://h", {"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ("http://h", {"HTTP_PROXY": ""}, None),
        ("http://h.test:8000", {"HTTP_PROXY": PROXY, "NO_PROXY": "other, .test"}, None),
        ("http://h:8000", {"HTTP_PROXY": PROXY, "no_proxy": "h:8000"}, None),
        ("http://h:8000", {"HTTP_PROXY": PROXY, "no_proxy": "*"}, None),
        ("http://h:8000", {"HTTP_PROXY": PROXY, "no_proxy": "other"}, "HTTP_PROXY"),
    ],
)
def test_which_proxy_others_would_use(url: str, environment: dict[str, str], variable: str | None) -> None:
    assert unused_proxy(read_address(url), environment) == variable


def test_it_is_told_in_the_report_and_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with WireServer(gateway({CHAT: answer})) as server, pytest.raises(SystemExit):
        main(["--base-url", server.url, "--concurrency", "1", "--num-requests", "2", "--result-dir", str(tmp_path)])
    assert "HTTP_PROXY is set but not used: the bench measures the server itself" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["--base-url", server.url])
    assert end.value.code == 2
    assert "(HTTP_PROXY is set but not used: " in capsys.readouterr().err
