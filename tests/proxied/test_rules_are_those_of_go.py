"""Which proxy is used for which URL, is what kubectl would do in the same environment.

`go_answers.json` has what golang.org/x/net/http/httpproxy answers, as it is in Go 1.26 and so in kubectl.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxies.environment import ProxyError, checked, proxy_for, through, without_proxy_to_this_machine

ANSWERS = json.loads(Path(__file__).with_name("go_answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: " ".join(f"{k}={v}" for k, v in case["environment"].items()))
def test_go_chooses_the_same_proxy(case):
    expected = dict.fromkeys(case["direct"])
    expected |= {url: proxy for proxy, urls in case["through"].items() for url in urls}
    found = {url: proxy_for(url, case["environment"]) for url in expected}
    assert {url: _lower(proxy) for url, proxy in found.items()} == {url: _lower(expected[url]) for url in expected}


def _lower(proxy):
    return proxy and proxy.lower()


def test_the_table_has_both_answers_many_times():
    directly = sum(len(case["direct"]) for case in ANSWERS)
    proxied = sum(len(urls) for case in ANSWERS for urls in case["through"].values())
    assert min(directly, proxied) > 300


@pytest.mark.parametrize("proxy", ["socks5://user:secret@proxy.example:1080", "foo://proxy.example"])
def test_a_proxy_of_another_kind_is_refused_with_a_sentence(proxy):
    with pytest.raises(ProxyError, match=r"^HTTPS_PROXY: proxies of (socks5|foo):// cannot be used") as refused:
        proxy_for("https://example.com", {"HTTPS_PROXY": proxy})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://127.0.0.1:6443", "https://exempt.example", "http://example.com"])
def test_what_needs_no_proxy_does_not_care_about_its_kind(url):
    assert proxy_for(url, {"HTTPS_PROXY": "socks5://proxy:1080", "NO_PROXY": "exempt.example"}) is None


@pytest.mark.parametrize("proxy", ["http://", "http://proxy:port", "http://[::1", ":3128", "http://proxy:99999"])
def test_what_is_no_url_is_refused_with_a_sentence(proxy):
    with pytest.raises(ProxyError, match=r"^proxy-url: is no URL of a proxy"):
        checked(proxy, "proxy-url")


def test_an_error_tells_of_the_proxy_but_not_of_its_password():
    assert through("http://ann:secret@proxy.example:3128") == " (through the proxy http://proxy.example:3128)"
    assert through(None) == ""


@pytest.mark.parametrize(
    ("chosen", "exceptions"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "a.example,10.0.0.0/8"}, "a.example,10.0.0.0/8,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example"}, "a.example,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_programs_with_other_rules_reach_this_machine_too(chosen, exceptions):
    assert without_proxy_to_this_machine(chosen) == {"NO_PROXY": exceptions, "no_proxy": exceptions}
