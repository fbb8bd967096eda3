"""Hundreds of texts that nobody thought of: whatever kubectl reads is read alike, and what it refuses is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import yaml as documents
from experiments.resources import EXPERIMENT
from support.as_kubectl import Text, canonical, experiment_texts, files_sent, kubectl_reads, many, name_of, texts

HEAD = "apiVersion: v1\nkind: Foo\nmetadata: {name: NAME}\n"
JSON = '{"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "NAME"}, "data": %s}'
LIST = '{"apiVersion": "v1", "kind": "List", "items": [%s]}'
READ = {
    "tabs between the parts of JSON": JSON.replace(" ", "\t") % '"a\\tb"',
    "a tab inside a text of JSON": JSON % '"a\tb"',
    "tabs behind values": f"{HEAD}data: {{a: 1\t, b: x\t}}\t\nmore: 2\t# a\n",
    "a block whose last line does not end": f"{HEAD}data: |\n  a\n  b",
    "a folded block whose last line does not end": f"{HEAD}data: >\n  a\n  b",
    "a text whose last line does not end": f"{HEAD}data: a",
    "a merge before a key of the same name": f"{HEAD}data: {{<<: {{a: 1, b: 2}}, a: 3}}\n",
    "a merge behind a key of the same name": f"{HEAD}data: {{a: 3, <<: {{a: 1, b: 2}}}}\n",
    "a merge of several": f"{HEAD}x: &x {{a: 1}}\ny: &y {{a: 2, b: 2}}\ndata: {{<<: [*x, *y], c: 3}}\n",
    "a merge inside a merge": f"{HEAD}x: &x {{a: 1}}\ny: &y {{<<: *x, b: 2}}\ndata: {{<<: *y}}\n",
    "two merges": f"{HEAD}data:\n  <<: {{a: 1}}\n  <<: {{b: 2}}\n",
    "whole numbers of 64 bits": f"{HEAD}data: [9223372036854775807, -9223372036854775808]\n",
    "whole numbers beyond": f"{HEAD}data: [9223372036854775808, {2**64 - 1}, -9223372036854775809, {10**20}]\n",
    "whole numbers beyond in JSON": JSON % f"[9223372036854775808, {2**64}, {-(10**20)}, {10**21}, {10**30}]",
    "numbers in JSON": JSON % "[1.0, 1e2, 1E-2, -0, -0.0, 0.1, 1e21, 123456789012345678]",
    "keys that are numbers": f"{HEAD}data: {{1: a, 0x1F: b, 1.5: c, 1e6: d, 0.1: e, 16777217.0: f, .inf: g, -0: h}}\n",
    "keys that are words": f"{HEAD}data: {{y: a, No: b, 'null': c}}\n",
    "keys that are times": f"{HEAD}data: {{2026-11-26: a, 2026-11-26T12:00:00Z: b, !!timestamp 2026-1-1: c}}\n",
    "binary keys and values": f"{HEAD}data: {{!!binary aGk=: a, b: !!binary aGk=, c: !!binary /w==}}\n",
    "tags of one's own": f"{HEAD}data: {{a: !x 1, b: !x {{c: d}}, e: !!str 1, f: ! 1, g: ! '1', h: !!set {{i}}}}\n",
    "colons inside brackets": f"{HEAD}data: {{a:1, b: [http://c/d, e:], f:}}\n",
    "the same key twice": f"{HEAD}data: {{a: 1, a: 2}}\n",
    "the same key twice in JSON": JSON % '{"a": 1, "a": 2}',
    "halves of characters": JSON % '"\\ud83d \\ud83d\\ude00 \\ude00"',
    "a list": LIST % f"{JSON % 1}, {JSON % 2}",
    "a list in YAML": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Foo, metadata: {name: NAME}}\n",
    "a list of a kind": "apiVersion: v1\nkind: FooList\nitems: [{metadata: {name: NAME}, data: 1}]\n",
    "a list of nothing": "apiVersion: v1\nkind: List\nitems: []\n---\napiVersion: v1\nkind: List\nitems: null\n",
    "a stream of JSON": f"{JSON % 1}{JSON % 2}\n\n{JSON % 3} {JSON % 4}",
    "JSON, a separator, JSON": f"{JSON % 1}\n---\n{JSON % 2}\n",
    "JSON, then YAML": f"{JSON % 1}\n---\n{HEAD}",
    "YAML, then JSON": f"{HEAD}---\n{JSON % 1}\n",
    "what follows the end of a document": f"{HEAD}...\n{HEAD}",
    "separators and comments": f"# a\n---\n# b\n---\t# c\n{HEAD}---\n---\n{HEAD}--- \n",
    "texts that look like separators": f"{HEAD}data: |\n  ---\n  a\n",
    "ends of lines as Windows has them": f"{HEAD}data: |\n  a\n  b\n".replace("\n", "\r\n"),
}
REFUSED = {
    "JSON, JSON, then YAML": f"{JSON % 1}{JSON % 2}\n---\n{HEAD}",
    "something behind a separator": f"--- {JSON % 1}\n",
    "a directive": f"%YAML 1.1\n---\n{HEAD}",
    "items that are no list": f"{HEAD}items: {{}}\n",
    "a number beyond all numbers": JSON % "1e400",
    "no number": f"{HEAD}data: .nan\n",
    "a key that is nothing": f"{HEAD}data: {{~: 1}}\n",
    "a key that is a list": f"{HEAD}data: {{[a]: 1}}\n",
    "a key beyond 63 bits": f"{HEAD}data: {{18446744073709551615: 1}}\n",
    "a merge of a text": f"{HEAD}data: {{<<: a}}\n",
    "a merge of a list that is an alias": f"{HEAD}x: &x [{{a: 1}}]\ndata: {{<<: *x}}\n",
    "half a character in YAML": f'{HEAD}data: "\\ud83d"\n',
    "an escaped slash in YAML": f'{HEAD}data: "a\\/b"\n',
    "a question mark inside brackets": f"{HEAD}data: [http://a/?b=c]\n",
    "a tab that indents": f"{HEAD}data:\n\ta: 1\n",
    "what is not of its type": f"{HEAD}data: !!int 1.5\n",
    "no base64": f"{HEAD}data: !!binary '?'\n",
    "a value inside itself": f"{HEAD}data: &a [*a]\n",
    "a control character": f"{HEAD}data: '\x01'\n",
}


def written(objects: list[Any]) -> str:
    """So that true is not one, and one is not 1.0."""
    return json.dumps(objects, sort_keys=True)


def read(text: Text, name: str) -> list[Any] | None:
    """The objects in there, or None where the text is refused."""
    problems: list[str] = []
    found = [document.content for document in documents.read(text.of(name), name, problems)]
    return found if not problems and all(isinstance(each, dict) for each in found) else None


def whole(objects: list[Any] | None, name: str) -> str:
    """Those that damage has not turned into something else, about which kubectl has its own words."""
    kinds = {("v1", "Foo"), (EXPERIMENT.api_version, EXPERIMENT.kind)}
    named = [each for each in objects or () if each.get("metadata", {}).get("name") == name]
    return written([each for each in named if (each.get("apiVersion"), each.get("kind")) in kinds])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_what_parsers_differ_in(tmp_path: Path, encoding: str) -> None:
    found = [Text(text, encoding) for text in (*READ.values(), *REFUSED.values())]
    theirs = kubectl_reads(found, tmp_path)
    assert [theirs[number] is None for number in range(len(found))] == [False] * len(READ) + [True] * len(REFUSED)
    for number, (case, text, objects) in enumerate(zip((*READ, *REFUSED), found, theirs, strict=True)):
        name = name_of(number)
        assert whole(read(text, name), name) == whole(objects, name), case
        assert (read(text, name) is None) == (objects is None), case


def test_a_list_inside_a_list(tmp_path: Path) -> None:
    """Of which kubectl does not say where it is."""
    text = Text(LIST % (LIST % (JSON % 1)))
    assert (kubectl_reads([text], tmp_path), read(text, name_of(0))) == ([[]], None)


def test_texts_of_any_sort(tmp_path: Path) -> None:
    found = many(texts())
    theirs = kubectl_reads(found, tmp_path)
    assert 50 < theirs.count(None) < 350
    for number, (text, objects) in enumerate(zip(found, theirs, strict=True)):
        name = name_of(number)
        assert whole(read(text, name), name) == whole(objects, name), text.of(name)


def test_experiments_that_are_rendered(render: Any, tmp_path: Path) -> None:
    found = many(experiment_texts())
    theirs = kubectl_reads(found, tmp_path)
    sound = [number for number, objects in enumerate(theirs) if files_sent(objects)]
    assert 50 < len(sound) < 350
    said = render(*(f"{name_of(number)}.yaml" for number in sound))
    assert said.lines == []
    maps = [canonical(obj["data"]["experiment.json"]) for obj in said.objects if obj["kind"] == "ConfigMap"]
    assert maps == [each for number in sound for each in files_sent(theirs[number])]
    for number in set(range(len(found))) - set(sound):
        assert render(f"{name_of(number)}.yaml").code == 2, found[number]
