"""Sends metrics and log records with OpenTelemetry's SDK: otlp_sdk.py http|grpc ADDRESS [TOKEN].

Each line on the standard input is a round: one export of metrics and one of log records, compressed every second time. A
line on the standard output then says what was handed over and acknowledged, as JSON: samples under the names and labels that
Prometheus' own OTLP receiver gives them, and lines. An export that the SDK gave up is exported again, as it is; one that was
refused for its token is not."""

import json
import logging
import sys
import warnings

warnings.simplefilter("ignore")

import opentelemetry.sdk.version
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Histogram,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

protocol, address, *token = sys.argv[1:]
headers = {"authorization": f"Bearer {token[0]}"} if token else {}

if protocol == "http":
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    def exporters(kind, path):
        return [
            kind(endpoint=f"http://{address}/v1/{path}", headers=headers, compression=c)
            for c in (Compression.NoCompression, Compression.Gzip)
        ]

else:
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    def exporters(kind, path):
        return [
            kind(endpoint=f"http://{address}", insecure=True, headers=headers, compression=c)
            for c in (Compression.NoCompression, Compression.Gzip)
        ]


ATTEMPTS = 3
NAMES = {
    "http.server.requests": "http_server_requests_total",
    "http.server.duration": "http_server_duration_seconds",
    "queue.size": "queue_size",
    "memory.usage": "memory_usage_bytes",
}
PLACE = {"namespace": "kit", "pod": "web-1", "container": "app"}
IDENTITY = {"job": "shop/cart", "instance": protocol}
turn, samples, lines = 0, [], []


def labels(attributes):
    return {name.replace(".", "_"): str(value) for name, value in attributes.items()}


def said(data):
    """The samples of a body."""
    for resource in data.resource_metrics:
        newest = 0
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    newest = max(newest, point.time_unix_nano)
                    of = {**labels(point.attributes), **IDENTITY, **PLACE}
                    name = NAMES[metric.name]
                    if not isinstance(metric.data, Histogram):
                        yield {"__name__": name, **of}, point.time_unix_nano, point.value
                        continue
                    under = 0
                    for bound, n in zip((*point.explicit_bounds, None), point.bucket_counts):
                        under += n
                        le = "+Inf" if bound is None else f"{bound:g}"
                        yield {"__name__": f"{name}_bucket", "le": le, **of}, point.time_unix_nano, under
                    yield {"__name__": f"{name}_count", **of}, point.time_unix_nano, point.count
                    yield {"__name__": f"{name}_sum", **of}, point.time_unix_nano, point.sum
        rest = {k: v for k, v in resource.resource.attributes.items() if not k.startswith("service.")}
        yield {"__name__": "target_info", **labels(rest), **IDENTITY, **PLACE}, newest, 1


class Metrics(MetricExporter):
    def __init__(self):
        super().__init__()
        self.all = exporters(OTLPMetricExporter, "metrics")

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        for _ in range(ATTEMPTS):
            if self.all[turn % 2].export(metrics_data) is MetricExportResult.SUCCESS:
                samples.extend(said(metrics_data))
                return MetricExportResult.SUCCESS
        return MetricExportResult.FAILURE

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs):
        pass


class Logs(LogRecordExporter):
    def __init__(self):
        self.all = exporters(OTLPLogExporter, "logs")

    def export(self, batch):
        for _ in range(ATTEMPTS):
            if self.all[turn % 2].export(batch) is LogRecordExportResult.SUCCESS:
                for record in (r.log_record for r in batch):
                    trace = (record.attributes or {}).get("exception.stacktrace", "")
                    lines.extend((record.timestamp, text) for text in (record.body, *trace.splitlines()))
                return LogRecordExportResult.SUCCESS
        return LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self):
        pass


logging.getLogger("opentelemetry").propagate = False
logging.lastResort = None
resource = Resource.create(
    {
        "service.name": "cart",
        "service.namespace": "shop",
        "service.instance.id": protocol,
        "k8s.namespace.name": PLACE["namespace"],
        "k8s.pod.name": PLACE["pod"],
        "k8s.container.name": PLACE["container"],
    }
)
reader = PeriodicExportingMetricReader(Metrics(), export_interval_millis=3_600_000)
meter = MeterProvider(resource=resource, metric_readers=[reader]).get_meter("kit")
requests = meter.create_counter("http.server.requests", unit="{request}")
duration = meter.create_histogram("http.server.duration", unit="s")
queue = meter.create_up_down_counter("queue.size")
memory = meter.create_gauge("memory.usage", unit="By")
records = LoggerProvider(resource=resource)
records.add_log_record_processor(SimpleLogRecordProcessor(Logs()))
logger = logging.getLogger("app")
logger.propagate = False
logger.setLevel(logging.DEBUG)
logger.addHandler(LoggingHandler(logger_provider=records))

print(json.dumps(opentelemetry.sdk.version.__version__), flush=True)
for _ in sys.stdin:
    turn += 1
    requests.add(turn, {"http.method": "GET"})
    requests.add(1, {"http.method": "POST"})
    for seconds in (0.003, 0.2 * turn, 7.5):
        duration.record(seconds, {"route": "/"})
    queue.add(1 if turn % 3 else -2)
    memory.set(1234.5 / turn)
    reader.collect()
    logger.info("round %d: é\tstarted", turn)
    logger.error("round %d: no route to db:5432", turn, extra={"attempt": 3})
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("round %d: it broke", turn)
    print(json.dumps({"samples": samples, "lines": lines}), flush=True)
    samples, lines = [], []
