"""What the real kubectl makes of texts, and texts that nobody thought of.

Each text holds one object, or more of one name, that says which text it is from. So one kubectl reads hundreds of them.
"""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.experiment_json import experiment_json
from experiments.models import parse

Object = dict[str, Any]
NAME = "NAME"
_ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


@dataclass(frozen=True)
class Text:
    """`content` has NAME where the name of an object stands."""

    content: str
    encoding: str = "utf-8"

    def of(self, name: str) -> bytes:
        return _ENCODINGS[self.encoding] + self.content.replace(NAME, name).encode(self.encoding)


def name_of(number: int) -> str:
    return f"text-{number:04}x"


def kubectl_reads(texts: Sequence[Text], folder: Path) -> list[list[Object] | None]:
    """The objects in each of the texts, or None where kubectl refuses it."""
    files = [folder / f"{name_of(number)}.yaml" for number in range(len(texts))]
    for number, (text, file) in enumerate(zip(texts, files, strict=True)):
        file.write_bytes(text.of(name_of(number)))
    command = [str(Path(sys.executable).with_name("kubectl")), "annotate", "--local", "a=b", "-o", "json"]
    command += [argument for file in files for argument in ("-f", str(file))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"KUBECONFIG": "/dev/null"})
    found: dict[str, list[Object]] = {}
    for obj in stream(done.stdout):
        del obj["metadata"]["annotations"]
        found.setdefault(str(obj["metadata"].get("name")), []).append(obj)
    return [None if str(file) in done.stderr else found.get(name_of(number), []) for number, file in enumerate(files)]


def files_sent(objects: list[Object] | None) -> list[str]:
    """The experiment.json of each object that kubectl would send, or nothing where the API server would refuse one."""
    try:
        return [canonical(experiment_json(parse(obj, strict=True).spec)) for obj in objects or ()]
    except ValidationError:
        return []


def files_planned(plan: Object) -> list[str]:
    """The experiment.json that would be created, as `POST /plan` says."""
    fields = (field for change in plan["changes"] if change["kind"] == "ConfigMap" for field in change["fields"])
    return [canonical(field["planned"]["experiment.json"]) for field in fields if field["path"] == "data"]


def canonical(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def stream(text: str) -> list[Object]:
    found, rest = [], text.strip()
    while rest:
        obj, end = json.JSONDecoder().raw_decode(rest)
        found.append(obj)
        rest = rest[end:].lstrip()
    return found


_MANY = settings(
    max_examples=400,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def many(strategy: st.SearchStrategy[Text]) -> list[Text]:
    """A few hundred, the same ones each time."""
    found: list[Text] = []

    @_MANY
    @given(strategy)
    def collect(text: Text) -> None:
        found.append(text)

    collect()
    return found


# fmt: off
_SCALARS = [
    "y", "Yes", "no", "ON", "~", "null", "", "0012", "0o17", "08", "1_000", "0x1F", "0b11", "-0x1F", "+12",
    "-0", "1e3",
    "1E5", "1e-1", "5.", ".5", ".5_0", "1e21", "1e400", "0.0000001", "12:30", "2026-11-23", "2026-11-23T00:00:00Z",
    "._1", ".5_", "1__0", "NaN", "=", "<<", "0x", "18446744073709551615", "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999999", "0xffffffffffffffff", "0x10000000000000000", "!!str 12", "!!float 3", "!!int '5'",
    "!!binary aGk=", "!!binary 'aGk'", "!!int 5.0", "!!bool y", "!!bool 1", "!!null ''", "!!timestamp 2001-01-01",
    "!!timestamp x", "!custom a", "! 12", "! '12'", "'5'", "'a''b'", '"a\\u00e9\\n"',
    '"\\x41"',
    '"\\ud83d"', '"\\U0001F600"', '"\ttab"', '"a\\/b"', "a b", "a:b", "a: b", "a # c", "a #c", "a#c", "a\t", "a\t# c",
    "é", "a\u00a0b", "\u2028x", "&x 1", "*x", "&m {k: v, 1: 2}", "*m", "{a: 1}", "{a:1}", '{"a":1}', "{a}",
    "{a:}", "{}",
    "{a: b,}", "{a: b, <<: *m}", "{<<: [*m, {k: w}], k: x}", "[1,2]", "[a,\tb]", "[a: b]", "[a:,b]", "[a?b]", "[,]",
    "[http://x/y]", "[]", "|\n x\n y", "|-\n x", "|+\n x\n\n", ">\n a\n b\n\n c", '"a\n b"', '"a\\\n b"',
    "'a\n b'", "a\n b",
    "- a", "%a", "@a", "a, b", "1,000", "---", "...", "::", "!!set {a}", "{a: b}: c", "'a", "[a", "a]", "\\",
]
_KEYS = [
    "k", "a b", "'q'", '"\\t"', "y", "~", "1", "1_0", "0x1F", "1.5", "0.1", "1e6", "1e21", "16777217.0",
    "12345678.5", "-0.0",
    ".inf", "18446744073709551615", "2026-01-01", "!!timestamp 2001-1-1", "!!binary aGk=", "!!str k", "! 12",
    "&k kk", "*x ",
    "<<", "<<", "? k\n", "[a]", "k\t", "-", "\tk", " k",
]
_VALUES = [
    0, -1, 1.5, 1e3, 1e21, 1e-7, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**25, True, False, None, "", "a",
    "é", "😀", "\u2028",
    "\t", "\n", "a\nb\n", "\\", "/", "y", "1", "null", "<<", "---", "\ud800", "\x7f", "{{ a }}", "*a", "# a",
]
_BEFORE = ["", "", "", "---\n", "# a\n", "# a\n---\n", "\n", "--- # a\n", "---\n---\n", "...\n", "%YAML 1.1\n"]
_AFTER = [
    "\n", "\n", "", "", "\n\n", "\n---\n", "\n--- # a\n", "\n...\n", "\n...\na: 1\n", "\n--- {}\n", "\n# a", " ",
    "\t\n",
]
_JUNK = [
    "\t", " ", "\n", ",", "}", "]", ":", '"', "#", "// a", "'", "\\", "1", "\x01", "\r\n", "- ", "{", "[", "?", "&a ",
    "|",
]
# fmt: on

_JSON_VALUES = st.recursive(
    st.sampled_from(_VALUES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "1", "é", "<<", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def _lines(draw: st.DrawFn, indent: int) -> str:
    """A block of keys and values."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        key, value = draw(st.sampled_from(["k"] * 9 + _KEYS)), draw(st.sampled_from(_SCALARS))
        colon = draw(st.sampled_from([": ", ": ", ": ", ":\t", ":\n  ", ": &a ", " : "]))
        key = f"k{number}" if key == "k" else key
        found.append(f"{key}{colon}{value}".replace("\n", f"\n{' ' * indent}"))
    return "\n".join(f"{' ' * indent}{line}" for line in found)


@st.composite
def _json(draw: st.DrawFn, obj: Object) -> str:
    """`obj`, in one of the ways in which programs write JSON. A third are no JSON, but still YAML."""
    indent, escaped = draw(st.sampled_from([None, 2, "\t"])), draw(st.booleans())
    text = json.dumps(obj, indent=indent, ensure_ascii=escaped)
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace('"kind": ', "kind: ") if draw(st.integers(0, 2)) == 0 else text


@st.composite
def _dressed(draw: st.DrawFn, text: str) -> Text:
    text = draw(st.sampled_from(_BEFORE)) + text + draw(st.sampled_from(_AFTER))
    if draw(st.integers(0, 7)) == 0:
        text = text.replace("\n", "\r\n")
    return Text(text, draw(st.sampled_from(["utf-8"] * 6 + list(_ENCODINGS))))


@st.composite
def _objects(draw: st.DrawFn, one: Object, field: list[str]) -> str:
    """JSON of some of them, after each other or in a list; free-form values are at the end of the path `field`."""
    made = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        obj = json.loads(json.dumps(one))
        inner = obj
        for step in field[:-1]:
            inner = inner[int(step) if isinstance(inner, list) else step]
        inner[field[-1]] = draw(st.dictionaries(st.sampled_from(["a", "y", "<<", "é"]), _JSON_VALUES, max_size=3))
        made.append(obj)
    if draw(st.integers(0, 3)) == 0:
        listed = {"apiVersion": "v1", "kind": draw(st.sampled_from(["List", "FooList"])), "items": made}
        return draw(_json(listed))
    texts = [draw(_json(obj)) for obj in made]
    return draw(st.sampled_from(["\n", "", "\n---\n", "\n--- # a\n", " "])).join(texts)


@st.composite
def _damaged(draw: st.DrawFn, text: str, start: int) -> str:
    """With something put in or left out behind `start`."""
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(start, max(start, len(text))))
        junk = draw(st.sampled_from(["", *_JUNK]))
        text = text[:place] + junk + text[place + (0 if junk else 1) :]
    return text


@st.composite
def texts(draw: st.DrawFn) -> Text:
    """A text of any sort, sound or not."""
    one = {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": NAME}}
    head = "".join(f"{key}: {json.dumps(value)}\n" for key, value in one.items())
    if draw(st.booleans()):
        text = f"{head}data:\n{draw(_lines(2))}"
        return draw(_dressed(draw(_damaged(text, len(head)))))
    text = draw(_objects(one, ["data"]))
    return draw(_dressed(draw(_damaged(text, len(json.dumps(one))))))


def experiment() -> Object:
    return {
        "apiVersion": "testbench.agentic-layer.ai/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": NAME, "namespace": "sample-agents"},
        "spec": {
            "agentRef": {"name": "weather-agent"},
            "scenarios": [{"name": "s", "steps": [{"input": "hi"}]}],
        },
    }


@st.composite
def experiment_texts(draw: st.DrawFn) -> Text:
    """An Experiment whose free-form values are written in any way."""
    if draw(st.integers(0, 2)) == 0:
        made = experiment()
        made["spec"]["scenarios"][0]["steps"][0]["customValues"] = draw(
            st.dictionaries(st.sampled_from(["a", "y", "<<", "é"]), _JSON_VALUES, max_size=3)
        )
        return draw(_dressed(draw(_json(made))))
    head = (
        "apiVersion: testbench.agentic-layer.ai/v1alpha1\nkind: Experiment\n"
        f"metadata:\n  name: {NAME}\n  namespace: sample-agents\nspec:\n  agentRef:\n    name: weather-agent\n"
        "  scenarios:\n    - name: s\n      steps:\n        - input: hi\n          customValues:\n"
    )
    return draw(_dressed(head + draw(_lines(12))))
