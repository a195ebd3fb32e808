"""The events of OpenLineage, made of the report of a run and the spans that it has proven.

A run of a tap is a run of the job with the tap's name. Each stream is an input dataset at the vendor and an output
dataset; what is proven of it stands at the input, where the standard has assertions of data quality. What is in the
events is in the report of a run too, so no record, no credentials and no personal data.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset as quality,
)
from openlineage.client.facet_v2 import (
    error_message_run,
    job_type_job,
    nominal_time_run,
    processing_engine_run,
    schema_dataset,
)
from openlineage.client.facet_v2 import (
    output_statistics_output_dataset as statistics,
)
from openlineage.client.uuid import generate_new_uuid

from trunkline import instants
from trunkline.errors import TrunklineError
from trunkline.exact import encode
from trunkline.redact import redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from trunkline.facts.stream import VendorStream
    from trunkline.facts.tap import TapFacts

    Report = Mapping[str, Any]
    Spans = Mapping[str, Mapping[str, list[tuple[datetime, datetime]]]]
    """By stream and partition; the latter as the JSON text that `window_proofs` has."""

_ENDS = {"complete": RunState.COMPLETE, "failed": RunState.FAIL, "stopped": RunState.ABORT}
_MOST_FAILURES = 20  # that an event repeats
_MOST_SECONDS = 5.0  # to wait for a transport that sends in the background


class Events:
    """Sends the events of one run, by the transport that OpenLineage's own configuration names.

    Args:
        tap: The tap that runs.

    Raises:
        Exception: The configuration is not right; of which kind depends on what is wrong.
    """

    def __init__(self, tap: TapFacts) -> None:
        self._tap, self._client = tap, OpenLineageClient()
        if self._client.transport.kind == "console":
            raise TrunklineError(
                "OpenLineage can't send", "no transport is configured, such as http or file", "", code="config"
            )
        self._producer = f"urn:trunkline:{tap.get_plugin_version()}"
        self._by: dict[str, Any] = {"producer": self._producer}
        self._namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or "trunkline"
        self._run_id = str(generate_new_uuid(tap.run_start))

    def begin(self) -> None:
        """Send that the run has begun; raises what the transport raises."""
        self._emit(RunState.START, instants.to_iso(instants.now()), {"streams": []}, {})

    def end(self, report: Report, spans: Spans) -> None:
        """Send how the run ended; raises what the transport raises."""
        self._emit(_ENDS[report["verdict"]], report["ended"], report, spans)

    def close(self) -> None:
        """Wait for what is sent in the background.

        Raises:
            TimeoutError: It takes too long.
        """
        if not self._client.close(_MOST_SECONDS):
            raise TimeoutError

    def _emit(self, kind: RunState, time: str, report: Report, spans: Spans) -> None:
        tap, by, version = self._tap, self._by, self._tap.get_plugin_version()
        engine = processing_engine_run.ProcessingEngineRunFacet(version, "trunkline", version, **by)
        nominal = nominal_time_run.NominalTimeRunFacet(instants.to_iso(tap.run_start), **by)
        facets: dict[str, Any] = {"processing_engine": engine, "nominalTime": nominal}
        if kind is RunState.FAIL:
            message = "\n".join(_failures(report)[:_MOST_FAILURES])
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, "Python", **by)
        job_type = job_type_job.JobTypeJobFacet("BATCH", "TRUNKLINE", "TAP", **by)
        known = {stream["stream"]: stream for stream in report["streams"]}
        streams = [stream for stream in tap.ordered_streams() if stream.selected]
        self._client.emit(
            RunEvent(
                eventType=kind,
                eventTime=time,
                run=Run(self._run_id, facets),
                job=Job(self._namespace, tap.name, {"jobType": job_type}),
                inputs=[
                    self._input(stream, known.get(stream.name), spans) for stream in streams if stream is not tap.proofs
                ],
                outputs=[self._output(stream, known.get(stream.name)) for stream in streams],
                producer=self._producer,
            )
        )

    def _input(self, stream: VendorStream, known: Mapping[str, Any] | None, spans: Spans) -> InputDataset:
        url = urlsplit(self._tap.config.get("api_url") or "")
        host = f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url.netloc else self._tap.vendor
        found = list(_assertions(known, spans.get(stream.name, {}))) if known else []
        facets: dict[str, Any] = {}
        if found:
            facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(found, **self._by)
        return InputDataset(redactor(host), stream.name, inputFacets=facets)

    def _output(self, stream: VendorStream, known: Mapping[str, Any] | None) -> OutputDataset:
        facets: dict[str, Any] = {"schema": schema_dataset.SchemaDatasetFacet(list(_fields(stream)), **self._by)}
        counts: dict[str, Any] = {}
        if known:
            counts["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(known["rows"], **self._by)
        return OutputDataset(self._namespace, f"{self._tap.name}.{stream.name}", facets=facets, outputFacets=counts)


def _fields(stream: VendorStream) -> Iterator[schema_dataset.SchemaDatasetFacetFields]:
    """Yield the fields that are selected, each with its JSON type, or its format where it has one."""
    for name, field in stream.schema["properties"].items():
        if stream.mask["properties", name]:
            types = field.get("type", "any")
            plain = "|".join(one for one in ([types] if isinstance(types, str) else types) if one != "null")
            kind = field.get("format", plain)
            yield schema_dataset.SchemaDatasetFacetFields(name, kind, field.get("description"))


def _assertions(known: Mapping[str, Any], spans: Mapping[str, Any]) -> Iterator[quality.Assertion]:
    """Yield the proven and unproven spans of a stream; of a failure without a span only that it failed."""
    for partition, proven in spans.items():
        for since, until in proven:
            yield _assertion(partition, instants.to_iso(since), instants.to_iso(until))
    severity = "error" if known["verdict"] == "failed" else "warn"
    parts = [one for one in (known, *known["partitions"]) if one["unproven_from"]]
    holes = [
        (redactor(encode(one.get("partition", {})).decode()), one["unproven_from"], one["unproven_to"])
        for one in (*parts, *known["failures"])
    ]
    for hole in dict.fromkeys(holes):
        yield _assertion(*hole, severity=severity)


def _assertion(partition: str, since: str | None, until: str | None, severity: str | None = None) -> quality.Assertion:
    span = {"since": since, "until": until} if since else {}
    params = {"partition": partition, **span}
    return quality.Assertion("window_complete", success=severity is None, severity=severity, params=params)


def _failures(report: Report) -> list[str]:
    causes = [("", report["error"])] if report["error"] else []
    causes += [(f"{stream['stream']}: ", cause) for stream in report["streams"] for cause in stream["failures"]]
    return [of + ". ".join(filter(None, (cause["what"], cause["why"], cause["remedy"]))) for of, cause in causes]
