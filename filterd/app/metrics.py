"""What Prometheus may know: counters of messages, times by stage, and the state of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from filterd import __version__
from filterd.record import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_BYTES = (1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6)

Gauges = Callable[[], dict[str, float | dict[str, float]]]  # values, or values by name


class Metrics(Collector):
    """A registry of its own, fed with records; `gauges` is asked at each scrape."""

    def __init__(self, gauges: Gauges) -> None:
        self.registry = CollectorRegistry()
        self._gauges = gauges
        self.messages = Counter(
            "filterd_messages", "Messages, by what was decided.", ("listener", "action", "reason"),
            registry=self.registry,
        )  # fmt: skip
        self.refusals = Counter(
            "filterd_early_refusals", "What was refused before its message, by when and why.",
            ("listener", "moment", "action", "reason"), registry=self.registry,
        )  # fmt: skip
        self.recipients = Counter(
            "filterd_recipients",
            "Recipients, by what became of their copy.",
            ("fate",),
            registry=self.registry,
        )
        self.findings = Counter("filterd_findings", "Findings, by symbol.", ("symbol",), registry=self.registry)
        self.errors = Counter(
            "filterd_errors", "Messages that could not be judged, by the stage that failed.", ("stage",),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "filterd_stage_seconds",
            "Time of each stage.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.size = Histogram("filterd_message_bytes", "Sizes of messages.", buckets=_BYTES, registry=self.registry)
        self.registry.register(self)

    def record(self, record: Record) -> None:
        """Count one message."""
        decision = record.strictest
        if decision is not None:
            listener = record.envelope.listener
            self.messages.labels(listener, decision.action.value, decision.reason.value).inc()
        for delivery in record.deliveries:
            self.recipients.labels(delivery.fate).inc()
        for finding in record.verdict.findings:
            self.findings.labels(finding.name).inc()
        if record.error:
            self.errors.labels(record.error.partition(":")[0]).inc()
        for stage, milliseconds in record.milliseconds.items():
            self.seconds.labels(stage).observe(milliseconds / 1000)
        self.size.observe(record.outline.size)

    def early(self, record: Record) -> None:
        """Count something that was refused before its message."""
        decision = record.decisions[0]
        words = (record.moment.value, decision.action.value, decision.reason.value)
        self.refusals.labels(record.envelope.listener, *words).inc()

    def collect(self) -> Iterator[Metric]:
        """The state of the service now."""
        info = GaugeMetricFamily("filterd_build_info", "The version that runs.", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info
        for name, value in self._gauges().items():
            about = f"{name.replace('_', ' ').capitalize()}."
            if isinstance(value, dict):
                gauge = GaugeMetricFamily(f"filterd_{name}", about, labels=("name",))
                for key, one in value.items():
                    gauge.add_metric((key,), one)
                yield gauge
            else:
                yield GaugeMetricFamily(f"filterd_{name}", about, value)

    def text(self) -> bytes:
        """All of it, in Prometheus' text form."""
        return generate_latest(self.registry)
