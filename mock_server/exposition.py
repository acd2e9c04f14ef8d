"""GET /metrics as Prometheus reads it: the server's counts and what the engine runs now, under vLLM's names."""

import asyncio
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .engine.base import EngineStats
from .metrics import Histogram, ServerMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ENGINE = "0"


def exposition(metrics: ServerMetrics, stats: EngineStats, model_name: str, own: bytes | None) -> bytes:
    """`own`: the engine's metrics where it keeps them itself; the server's of the same names stay out then."""
    registry = CollectorRegistry()
    registry.register(_Page(_responses(metrics)))
    if own is not None:
        return own + generate_latest(registry)
    registry.register(_Page(_engine(metrics, stats, model_name)))
    return generate_latest(registry)


class _Page(Collector):
    def __init__(self, families: Iterator[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families


def _responses(metrics: ServerMetrics) -> Iterator[Metric]:
    family = CounterMetricFamily(
        "http_requests", "Responses by path and status; 499: the client left.", labels=["method", "handler", "status"]
    )
    for (method, handler, status), count in sorted(metrics.responses.items()):
        family.add_metric([method, handler, str(status)], count)
    yield family
    yield GaugeMetricFamily("streamgauge_asyncio_tasks", "Tasks of the server's event loop.", len(asyncio.all_tasks()))


def _engine(metrics: ServerMetrics, stats: EngineStats, model_name: str) -> Iterator[Metric]:
    labels = [model_name, _ENGINE]

    def gauge(name: str, words: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", words, labels=["model_name", "engine"])
        family.add_metric(labels, value)
        return family

    def counter(name: str, words: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", words, labels=["model_name", "engine"])
        family.add_metric(labels, value)
        return family

    def counters(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", words, labels=["model_name", "engine", label])
        for key, count in values.items():
            family.add_metric([*labels, key], count)
        return family

    def histogram(name: str, words: str, of: Histogram) -> Metric:
        family = HistogramMetricFamily(f"vllm:{name}", words, labels=["model_name", "engine"])
        bounds = [*(repr(float(bound)) for bound in of.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(of.counts)), strict=True))
        family.add_metric(labels, buckets, of.sum)
        return family

    finished = {reason: metrics.finished[reason] for reason in ("stop", "length", "abort", "error")}
    yield gauge("num_requests_running", "Sequences that the engine runs.", stats.running)
    yield gauge("num_requests_waiting", "Sequences that wait for the engine.", stats.waiting)
    yield counter("prompt_tokens", "Prompt tokens of ended requests.", metrics.prompt_tokens)
    yield counter("generation_tokens", "Tokens generated, as usage counts them.", metrics.generation_tokens)
    yield counters("request_success", "Choices by why they ended.", "finished_reason", finished)
    yield counters("admission_rejections", "Requests not admitted.", "reason", dict(metrics.rejections))
    yield histogram("time_to_first_token_seconds", "From arrival to the first token.", metrics.time_to_first_token_s)
    yield histogram("inter_token_latency_seconds", "Between two tokens of a choice.", metrics.inter_token_latency_s)
    yield histogram(
        "request_time_per_output_token_seconds", "Mean of a choice's gaps.", metrics.time_per_output_token_s
    )
    yield histogram("e2e_request_latency_seconds", "From arrival to the end.", metrics.e2e_latency_s)
    yield histogram("request_decode_time_seconds", "From the first token to the last.", metrics.decode_time_s)
    yield histogram("request_prompt_tokens", "Tokens of each prompt.", metrics.request_prompt_tokens)
    yield histogram("request_generation_tokens", "Tokens of each choice.", metrics.request_generation_tokens)
    yield histogram(
        "request_max_num_generation_tokens", "Tokens of a request's longest choice.",
        metrics.request_max_generation_tokens,
    )  # fmt: skip
    yield histogram("request_params_n", "Choices asked for.", metrics.params_n)
    yield histogram("request_params_max_tokens", "Tokens allowed a choice.", metrics.params_max_tokens)
