"""Stand-ins for what an evaluation meets: an agent that speaks A2A, a judge, an OTLP receiver, files by HTTP."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.network import Request, Response


@dataclass(frozen=True)
class Answer:
    """What an agent says, and the call of a tool that came before."""

    text: str
    tool: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    result: Any = None

    def parts(self) -> list[list[dict[str, Any]]]:
        """Of the messages that it consists of."""
        said = [{"kind": "text", "text": self.text}]
        if not self.tool:
            return [said]
        call = {"kind": "data", "data": {"name": self.tool, "args": self.args}}
        result = {"kind": "data", "data": {"name": self.tool, "response": self.result}}
        return [[call], [result], said]


class Agent:
    """Answers by A2A (JSON-RPC) to the questions that it knows, and `lost` to others.

    A question that begins with "And" is understood only in a conversation, so as the second of its context.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)  # its own: a test may change what it says
        self.lost = Answer("I do not know what you mean.")
        self._contexts: set[str] = set()

    def __call__(self, request: Request) -> Response:
        call = json.loads(request.body)
        message = call["params"]["message"]
        question = "".join(part.get("text", "") for part in message["parts"])
        context = message.get("contextId")
        understood = not question.startswith("And") or context in self._contexts
        answer = self.answers.get(question, self.lost) if understood else self.lost
        context = context or uuid.uuid4().hex
        self._contexts.add(context)
        return _json({"jsonrpc": "2.0", "id": call["id"], "result": _task(context, message, answer)})


def _task(context: str, question: dict[str, Any], answer: Answer) -> dict[str, Any]:
    ids = {"taskId": uuid.uuid4().hex, "contextId": context}
    said = [
        {"kind": "message", "role": "agent", "messageId": uuid.uuid4().hex, "parts": parts, **ids}
        for parts in answer.parts()
    ]
    status = {"state": "completed"}
    return {"kind": "task", "id": ids["taskId"], "contextId": context, "status": status, "history": [question, *said]}


class Judge:
    """An OpenAI-compatible API with a model that judges by simple rules, in the structure that ragas asks for."""

    def __call__(self, request: Request) -> Response:
        if request.path != "/chat/completions":
            return Response(status=404)
        asked = json.loads(request.body)
        prompt = "\n".join(_text(message["content"]) for message in asked["messages"])
        message = {"role": "assistant", "content": json.dumps(_judgement(_input(prompt)))}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"]}
        return _json({**head, "choices": [choice], "usage": usage})


_TOPICS = ("rain", "wind", "snow")
# By the keys of the input with which a prompt of ragas ends. A claim holds where the other text has it word by word; an
# agent has refused where it does not know, or fails.
_JUDGEMENTS: dict[tuple[str, ...], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("user_input",): lambda given: {"topics": [topic for topic in _TOPICS if topic in given["user_input"]]},
    ("topic", "user_input"): lambda given: {"refused_to_answer": _refused(given["user_input"])},
    ("reference_topics", "topics"): lambda given: {
        "classifications": [topic in given["reference_topics"] for topic in given["topics"]]
    },
    ("atomicity", "coverage", "response"): lambda given: {"claims": re.findall(r"[^.!?]+", given["response"])},
    ("context", "statements"): lambda given: {
        "statements": [_verdict(statement, given["context"]) for statement in given["statements"]]
    },
    ("workflow",): lambda given: {
        "user_goal": "an answer",
        "end_state": "none" if _refused(given["workflow"]) else "an answer",
    },
    ("arrived_outcome", "desired_outcome"): lambda given: {
        "reason": "the words",
        "verdict": str(int(given["arrived_outcome"] == given["desired_outcome"])),
    },
}


def _judgement(given: dict[str, Any]) -> dict[str, Any]:
    return _JUDGEMENTS[tuple(sorted(given))](given)


def _verdict(statement: str, context: str) -> dict[str, Any]:
    return {"statement": statement, "reason": "the words", "verdict": int(statement.strip() in context)}


def _refused(conversation: str) -> bool:
    said = conversation.rpartition("AI:")[2]
    return "I do not know" in said or "ERROR" in said


def _input(prompt: str) -> dict[str, Any]:
    given: dict[str, Any]
    given, _ = json.JSONDecoder().raw_decode(prompt.rpartition("\ninput: ")[2])
    return given


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Collector:
    """An OTLP receiver (HTTP, protobuf), with the spans and the points of metrics that it was sent, as plain values."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.points: list[dict[str, Any]] = []

    def __call__(self, request: Request) -> Response:
        if request.path == "/v1/traces":
            for scope in _scopes(ExportTraceServiceRequest.FromString(request.body), "resourceSpans", "scopeSpans"):
                self.spans += [_flat(span) for span in scope["spans"]]
        elif request.path == "/v1/metrics":
            sent = ExportMetricsServiceRequest.FromString(request.body)
            for metric in (m for scope in _scopes(sent, "resourceMetrics", "scopeMetrics") for m in scope["metrics"]):
                self.points += [{**_flat(point), "metric": metric["name"]} for point in metric["gauge"]["dataPoints"]]
        else:
            return Response(status=404)
        return Response(content_type="application/x-protobuf")


def _scopes(sent: Any, resources: str, scopes: str) -> list[dict[str, Any]]:
    return [scope for resource in MessageToDict(sent)[resources] for scope in resource[scopes]]


def _flat(sent: dict[str, Any]) -> dict[str, Any]:
    """With attributes as plain texts."""
    attributes = {each["key"]: str(next(iter(each["value"].values()))) for each in sent.get("attributes", ())}
    return {**sent, "attributes": attributes}


class Files:
    """Serves `files` by their paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    def __call__(self, request: Request) -> Response:
        found = self.files.get(request.path.partition("?")[0])
        return Response(status=404) if found is None else Response(found)


def _json(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer).encode())
