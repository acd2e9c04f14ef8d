"""GET /metrics in Prometheus' format: the server's counts and the engine's current state, under vLLM's names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from mock_server.engine.base import EngineStats
from mock_server.telemetry.metrics import Histogram, ServerMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ENGINE = "0"
_LABELS = ["model_name", "engine"]


def exposition(metrics: ServerMetrics, stats: EngineStats, model_name: str, own: bytes | None) -> bytes:
    """`own`: the metrics of an engine that keeps them itself. They replace the server's metrics of the same names."""
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
        "http_requests",
        "Responses by path and status; 499: the client disconnected.",
        labels=["method", "handler", "status"],
    )
    for (method, handler, status), count in sorted(metrics.responses.items()):
        family.add_metric([method, handler, str(status)], count)
    yield family
    yield GaugeMetricFamily("streamgauge_asyncio_tasks", "Tasks of the server's event loop.", len(asyncio.all_tasks()))


class _Families:
    """Makes metric families, all for one model."""

    def __init__(self, model_name: str) -> None:
        self._values = [model_name, _ENGINE]

    def gauge(self, name: str, words: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", words, labels=_LABELS)
        family.add_metric(self._values, value)
        return family

    def gauges(self, name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", words, labels=[*_LABELS, label])
        for key, value in values.items():
            family.add_metric([*self._values, key], value)
        return family

    def counter(self, name: str, words: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", words, labels=_LABELS)
        family.add_metric(self._values, value)
        return family

    def counters(self, name: str, words: str, label: str, values: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", words, labels=[*_LABELS, label])
        for key, count in values.items():
            family.add_metric([*self._values, key], count)
        return family

    def histogram(self, name: str, words: str, of: Histogram) -> Metric:
        family = HistogramMetricFamily(f"vllm:{name}", words, labels=_LABELS)
        bounds = [*(repr(float(bound)) for bound in of.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(of.counts)), strict=True))
        family.add_metric(self._values, buckets, of.sum)
        return family


def _engine(metrics: ServerMetrics, stats: EngineStats, model_name: str) -> Iterator[Metric]:
    of = _Families(model_name)
    # here, sequences wait for no other reason
    waiting = {"capacity": stats.waiting, "deferred": 0}
    yield of.gauge("num_requests_running", "Sequences that the engine is running.", stats.running)
    yield of.gauge("num_requests_waiting", "Sequences that are waiting for the engine.", stats.waiting)
    yield of.gauges("num_requests_waiting_by_reason", "Waiting sequences by reason.", "reason", waiting)
    finished = {reason: metrics.finished[reason] for reason in ("stop", "length", "abort", "error")}
    yield of.counter("prompt_tokens", "Prompt tokens that the engine has read.", metrics.prompt_tokens)
    yield of.counter("generation_tokens", "Tokens generated, as usage counts them.", metrics.generation_tokens)
    yield of.counters("request_success", "Choices by finish reason.", "finished_reason", finished)
    yield of.counters("admission_rejections", "Requests that were not admitted.", "reason", metrics.rejections)
    for name, words, histogram in _histograms(metrics):
        yield of.histogram(name, words, histogram)


def _histograms(metrics: ServerMetrics) -> Iterator[tuple[str, str, Histogram]]:
    yield "time_to_first_token_seconds", "From arrival to the first token.", metrics.time_to_first_token_s
    yield "inter_token_latency_seconds", "Time between two tokens of a choice.", metrics.inter_token_latency_s
    yield "request_time_per_output_token_seconds", "Mean gap of a choice.", metrics.time_per_output_token_s
    yield "e2e_request_latency_seconds", "From arrival to the end.", metrics.e2e_latency_s
    yield "request_queue_time_seconds", "From the engine's queue to the first step.", metrics.queue_time_s
    yield "request_prefill_time_seconds", "From the first step to the first token.", metrics.prefill_time_s
    yield "request_decode_time_seconds", "From the first token to the last.", metrics.decode_time_s
    yield "request_inference_time_seconds", "Prefill and decode together.", metrics.inference_time_s
    yield "request_prompt_tokens", "Tokens of each prompt.", metrics.request_prompt_tokens
    yield "request_generation_tokens", "Tokens of each choice.", metrics.request_generation_tokens
    longest = metrics.request_max_generation_tokens
    yield "request_max_num_generation_tokens", "Tokens of a request's longest choice.", longest
    yield "request_params_n", "Choices requested.", metrics.params_n
    yield "request_params_max_tokens", "Largest number of tokens allowed for a choice.", metrics.params_max_tokens
