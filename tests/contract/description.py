"""Valar's published description: amended, contradicted by single answers, and driven."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema_rs
import schemathesis
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.hooks import unregister

from tests.contract.deviations import Copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemathesis.engine.recorder import ScenarioRecorder

    from tests.contract.deviations import Amendment, Refusal

Description = dict[str, Any]


def amended(description: Description, amendments: Iterable[Amendment]) -> Description:
    """Give the description with these amendments."""
    result = deepcopy(description)
    for amendment in amendments:
        for pointer, change in amendment.changes:
            *steps, last = steps_of(pointer)
            place = at(result, steps)
            value = deepcopy(
                at(result, steps_of(change.pointer)) if isinstance(change, Copy) else change
            )
            if last == "-":
                assert value not in place, f"{pointer} is published by now"
                place.append(value)
            else:
                assert place.get(last) != value, f"{pointer} is published by now"
                place[last] = value
    return result


def steps_of(pointer: str) -> list[str]:
    """Take a JSON pointer (RFC 6901) apart."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def at(value: Any, steps: Iterable[str]) -> Any:
    """Give what is some steps inside of a value."""
    for step in steps:
        value = value[int(step) if isinstance(value, list) else step]
    return value


def contradictions(
    description: Description, method: str, path: str, body: object, status: int, answer: object
) -> Iterator[str]:
    """Say in which ways a call and its answer are not what the description says."""
    template = template_of(description, urlsplit(path).path)
    operation = description["paths"][template][method.lower()]
    if str(status) not in operation["responses"]:
        yield "the status"
        return
    pointer = f"#/paths/{template.replace('/', '~1')}/{method.lower()}"
    content = "content/application~1json/schema"
    is_taken = status < 300
    if method == "POST":
        is_json = not isinstance(body, bytes)
        is_valid = is_json and valid(description, f"{pointer}/requestBody/{content}", body)
        if is_valid != is_taken:
            yield "taken, though invalid" if is_taken else "refused, though valid"
    elif not is_taken:
        yield "refused, though valid"
    if isinstance(answer, bytes):
        content = "content/text~1event-stream/schema"
    if not valid(description, f"{pointer}/responses/{status}/{content}", shape_of(answer)):
        yield "the answer"


def shape_of(answer: object) -> object:
    """Give the JSON of an answer; of a stream, its first event as its schema would have it."""
    if isinstance(answer, bytes):
        return {"event": "message", "data": answer.partition(b"\n")[0].decode()}
    return answer


def template_of(description: Description, path: str) -> str:
    """Find the described path that a path is of."""
    return next(
        template
        for template in description["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    )


def valid(description: Description, pointer: str, value: object) -> bool:
    """Whether a value is what the schema at a pointer says."""
    return validator(description, pointer).is_valid(value)


def validator(description: Description, pointer: str) -> jsonschema_rs.Validator:
    """Give the validator of the schema at a pointer."""
    schema = {
        "components": description["components"],
        "paths": description["paths"],
        "$ref": pointer,
    }
    return jsonschema_rs.validator_for(schema, validate_formats=True)


def chunks_of(stream: bytes) -> list[object]:
    """Give the chunks of a stream, which has nothing but them and its end."""
    *data, end, rest = stream.split(b"\n\n")
    assert (end, rest) == (b"data: [DONE]", b"")
    assert all(event.startswith(b"data: ") for event in data)
    return [json.loads(event.removeprefix(b"data: ")) for event in data]


@dataclass
class Findings:
    """What a run met: how many examples each operation had, by status, and what was wrong."""

    chunk: jsonschema_rs.Validator
    chunks: int = 0
    examples: Counter[tuple[str, int]] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def take(self, recorder: ScenarioRecorder, refusals: Iterable[Refusal]) -> None:
        """Count what one scenario recorded."""
        for case_id, interaction in recorder.interactions.items():
            if interaction.response is not None:
                label = recorder.cases[case_id].value.operation.label
                self.examples[label, interaction.response.status_code] += 1
                if interaction.response.headers["content-type"] == ["text/event-stream"]:
                    for chunk in chunks_of(interaction.response.content):
                        self.chunk.validate(chunk)
                        self.chunks += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    self._fail(recorder, case_id, check, refusals)

    def _fail(
        self, recorder: ScenarioRecorder, case_id: str, check: Any, refusals: Iterable[Refusal]
    ) -> None:
        case, interaction = recorder.cases[case_id].value, recorder.interactions[case_id]
        label = case.operation.label
        content = interaction.response.content if interaction.response else b""
        if check.name == "positive_data_acceptance":
            param = param_of(content)
            for refusal in refusals:
                if label in refusal.operations and re.fullmatch(refusal.param, param):
                    self.excused[refusal.what] += 1
                    return
        self.failures[label, check.name] += 1
        message = check.failure_info.failure.message
        shown = f"{message}\n{case.query} {case.headers} {case.body!r}"[:1500]
        self.first.setdefault((label, check.name), f"{shown}\n-> {content[:500]!r}")

    def figures(self) -> str:
        """Say how much was tried, a line for each operation."""
        by_label: dict[str, dict[int, int]] = {}
        for (label, status), count in sorted(self.examples.items()):
            by_label.setdefault(label, {})[status] = count
        lines = [
            f"{label}: {sum(counts.values())} examples, "
            + ", ".join(f"{count} × {status}" for status, count in counts.items())
            for label, counts in by_label.items()
        ]
        lines.append(
            f"{len(by_label)} operations, {self.examples.total()} examples, "
            f"{self.chunks} chunks, {self.failures.total()} failures"
        )
        lines += [f"refused, and rightly: {count} × {what}" for what, count in self.excused.items()]
        return "\n".join(lines)


IDEMPOTENCY_KEYS = frozenset({"Idempotency-Key", "anthropic-idempotency-key"})
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "ignored_auth",
)


def drive(
    description: Description, base_url: str, key: str, examples: int, refusals: Iterable[Refusal]
) -> Findings:
    """Send what schemathesis makes of a description: allowed, forbidden, and at every edge.

    `examples` is how many are drawn for each operation, beside those that cover the schema. The
    same description gives the same examples.
    """
    config = SchemathesisConfig.from_dict(
        {
            "base-url": base_url,
            "headers": {"Authorization": f"Bearer {key}"},
            "continue-on-failure": True,
            "seed": 1,
            "max-stream-events": 100_000,
            "generation": {
                "deterministic": True,
                "max-examples": examples,
                "no-shrink": True,
                "database": "none",
            },
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            # What GETs can be asked is soon exhausted.
            "operations": [
                {"include-method": "GET", "generation": {"max-examples": min(examples, 50)}}
            ],
            "phases": {"stateful": {"enabled": False}},
        }
    )
    schema = schemathesis.openapi.from_dict(description, config=config)
    findings = Findings(validator(description, "#/components/schemas/ChatCompletionChunk"))
    # What an idempotency key hides is whether the body is taken: each call has one of its own.
    numbers = itertools.count()

    @schemathesis.hook
    def before_call(_context: object, case: schemathesis.Case, _kwargs: object) -> None:
        for name in IDEMPOTENCY_KEYS & set(case.headers):
            if len(str(case.headers[name])) <= 255:
                case.headers[name] = f"intent-{next(numbers)}"

    try:
        run(schema, findings, refusals)
    finally:
        unregister(before_call)
    return findings


def run(schema: schemathesis.BaseSchema, findings: Findings, refusals: Iterable[Refusal]) -> None:
    """Do what the configuration of a schema says."""
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            findings.take(event.recorder, refusals)
        elif isinstance(event, events.NonFatalError):
            findings.errors.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception


def param_of(content: bytes) -> str:
    """Give the `param` of a refusal, or nothing."""
    try:
        return json.loads(content)["error"]["param"] or ""
    except (ValueError, KeyError, TypeError):
        return ""
