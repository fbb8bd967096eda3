"""Files mean to `render` what they mean to `kubectl apply`, and so does what it prints: the real kubectl is asked."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments import yaml as documents

# fmt: off
SCALARS = [
    "y", "Y", "n", "yes", "No", "ON", "off", "true", "tRue", "True", "null", "Null", "~", "", "0012", "0o17", "08",
    "1_000", "0x1F", "0b11", "-0x1F", "-0b11", "+12", "-0", "0_1", "1e3", "1E5", "1e-1", "1.5e3", "1.e5", "1.0", "5.",
    ".5", "-.5", ".5_0", "1e21", "0.0000001", "12:30", "190:20:30", "2026-11-23", "2026-11-23T00:00:00Z", ".", "_1",
    "1__0", "1.0.0", "NaN", "inf", "=", "<<", "0x", "017_", "!!str 12", "!!float 3", "'5'", '"\\u00e9\\n"', "a b",
    "1 2", "--", "4o-mini",
]
TEXTS = [
    " ", "a ", " a", "\n", "a\n", "a\n\n", "\na", " a\nb", "a\n b\n", "a \nb", "a\tb", "\ta\nb", "a: b", "a #b", "#a",
    "-", "- a", "? a", "{a", "[a", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a", "'", '"', "\\", "---", "---\na", "...",
    "{{ a }}", "é", "😀", "\x85", "\u2028", "\u2029a\nb", "\x7f", "\x07", "\ufeff", "\ufeffa", "\r", "a\r\nb",
    "\xa0", "\ud7ff", "\uffff", *SCALARS,
]
# fmt: on


def by_kubectl(text: str, folder: Path) -> Any:
    """The `data` of the ConfigMap in this text, as kubectl reads it."""
    file = folder / "object.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    command = [Path(sys.executable).with_name("kubectl"), "annotate", "--local", "-f", file, "a=b", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"KUBECONFIG": "/dev/null"})
    return json.loads(done.stdout)["data"]


def config_map(lines: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n{lines}"


def read(text: str, folder: Path) -> Any:
    (folder / "object.yaml").write_text(text, encoding="utf-8")
    problems: list[str] = []
    (document,) = documents.read((folder / "object.yaml").read_bytes(), "object.yaml", problems)
    assert problems == []
    return document.content["data"]


def test_scalars_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    text = config_map("".join(f"  k{i}: {scalar}\n" for i, scalar in enumerate(SCALARS)))
    ours, theirs = read(text, tmp_path), by_kubectl(text, tmp_path)
    assert {k: (type(v), v) for k, v in ours.items()} == {k: (type(v), v) for k, v in theirs.items()}


def test_keys_anchors_and_merges_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    text = config_map("  2: a\n  1.5: b\n  yes: c\n  2026-11-23: &x {d: 1}\n  e: {<<: *x, f: *x}\n  g: h\n  g: i\n")
    assert read(text, tmp_path) == by_kubectl(text, tmp_path)


def texts() -> list[str]:
    """Those, and some that nobody thought of."""
    letters = random.Random(0)
    pieces = [*" \n\n\t:#-'\"\\{}[]|>&*!%@`,?=~0123456789.eEyYxX_+é😀\x85\u2028", "  ", "\n ", "---", "null"]
    return TEXTS + ["".join(letters.choices(pieces, k=letters.randint(1, 12))) for _ in range(1000)]


def test_every_text_comes_back_unchanged(tmp_path: Path) -> None:
    data = {f"k{i}": text for i, text in enumerate(texts())}
    printed = documents.write([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}])
    assert by_kubectl(printed, tmp_path) == data
    assert read(printed, tmp_path) == data
    assert yaml.safe_load(printed)["data"] == data


def test_a_file_stays_readable() -> None:
    text = documents.write([{"data": {"experiment.json": '{\n  "a": "ü"\n}\n'}}])
    assert text == '---\ndata:\n  experiment.json: |\n    {\n      "a": "ü"\n    }\n'


def test_values_that_repeat_are_written_out() -> None:
    value = {"a": 1}
    assert documents.write([{"b": value, "c": value}]) == "---\nb:\n  a: 1\nc:\n  a: 1\n"


@pytest.mark.parametrize("separator", ["---\n", "--- \n", "--- # next\n", "---\r\n"])
def test_documents_are_told_apart_by_separators(separator: str) -> None:
    text = f"a: 1\n{separator}b: |\n  x\n  ---\n  y\n"
    found = list(documents.read(text.encode(), "a.yaml", problems := []))
    assert [document.content for document in found] == [{"a": 1}, {"b": "x\n---\ny\n"}]
    assert [document.where for document in found] == [f"a.yaml, document {number}" for number in (1, 2)]
    assert problems == []


def test_a_byte_order_mark_is_skipped() -> None:
    (document,) = documents.read("\ufeff# A comment\n---\na: 1\n".encode(), "a.yaml", [])
    assert (document.where, document.content) == ("a.yaml, document 1", {"a": 1})
