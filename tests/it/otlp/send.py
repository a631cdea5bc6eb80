"""Sends a few metrics and log records with OpenTelemetry's SDK: send.py http|grpc ADDRESS none|gzip."""

import logging
import os
import sys
import warnings

protocol, address, compression = sys.argv[1:]
if compression == "gzip":
    os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
warnings.simplefilter("ignore")

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

if protocol == "http":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    metrics = OTLPMetricExporter(endpoint=f"http://{address}/v1/metrics")
    logs = OTLPLogExporter(endpoint=f"http://{address}/v1/logs")
else:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    metrics = OTLPMetricExporter(endpoint=f"http://{address}", insecure=True)
    logs = OTLPLogExporter(endpoint=f"http://{address}", insecure=True)

resource = Resource.create(
    {
        "service.name": "cart",
        "service.namespace": "shop",
        "service.instance.id": f"{protocol}-{compression}",
        "k8s.namespace.name": "team-cart",
        "k8s.pod.name": "cart-0",
        "k8s.container.name": "app",
    }
)

reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
provider = MeterProvider(resource=resource, metric_readers=[reader])
meter = provider.get_meter("send")
requests = meter.create_counter("http.server.requests", unit="{request}")
requests.add(5, {"http.method": "GET"})
requests.add(2, {"http.method": "POST"})
duration = meter.create_histogram("http.server.duration", unit="s")
for seconds in (0.003, 0.2, 7.5):
    duration.record(seconds, {"route": "/"})
meter.create_up_down_counter("queue.size").add(4)
meter.create_gauge("memory.usage", unit="By").set(1234.5)
assert provider.force_flush()
provider.shutdown()

records = LoggerProvider(resource=resource)
records.add_log_record_processor(BatchLogRecordProcessor(logs))
logger = logging.getLogger("app")
logger.propagate = False
logger.setLevel(logging.DEBUG)
logger.addHandler(LoggingHandler(logger_provider=records))
logger.info("started")
logger.error("no route to db:5432", extra={"attempt": 3})
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("it broke")
assert records.force_flush()
records.shutdown()
