"""Which proxy the environment names for a URL, by the rules of kubectl: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.

Python's libraries have rules of their own, which differ among them: CIDRs that count for nothing, a loopback address
that goes through the proxy. So every client in this service asks here, once for each server, and is told which proxy to
use. The rules are those of golang.org/x/net/http/httpproxy, as it is in Go 1.26: of a variable that is there in both
cases, that in capitals counts. ALL_PROXY is none of them.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

_PORTS = {"http": 80, "https": 443}
_HOST_PORT = re.compile(r"\[(?P<bracketed>[^][]*)\]:(?P<of_bracketed>[^][:]*)|(?P<host>[^][:]*):(?P<port>[^][:]*)")
_THIS_MACHINE = "127.0.0.1,localhost,::1"


class ProxyError(Exception):
    """A proxy is meant that cannot be used. The message is for the person who has set it."""


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the URL of the proxy through which to reach `url`, or None where that is reached directly.

    Raises ProxyError where it is a proxy of a kind that this service cannot use.
    """
    target = urlsplit(url)
    if target.scheme not in _PORTS:
        return None
    variable = f"{target.scheme.upper()}_PROXY"
    proxy = _value(environ, variable)
    port = str(target.port or _PORTS[target.scheme])
    if not proxy or _is_direct(target.hostname or "", port, _value(environ, "NO_PROXY")):
        return None
    return checked(proxy, variable)


def checked(proxy: str, source: str) -> str:
    """Return the URL of a proxy, with the scheme that may be left out. Raises ProxyError, which names `source`."""
    url = proxy if _is_complete(proxy) else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ProxyError(f"{source}: is no URL of a proxy, like http://proxy.example.com:3128")
    if parts.scheme not in _PORTS:
        words = f"proxies of {parts.scheme}:// cannot be used, only those of http:// and https://"
        raise ProxyError(f"{source}: {words}; NO_PROXY names what is reached without")
    return url


def through(proxy: str | None) -> str:
    """Return the words that tell of a proxy in the sentence of an error; none where there is no proxy."""
    return f" (through the proxy {_address(urlsplit(proxy))})" if proxy else ""


def without_proxy_to_this_machine(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that keep any program from reaching this machine through a proxy, as many would."""
    chosen = _value(environ, "NO_PROXY").strip()
    exceptions = chosen if chosen == "*" else ",".join(filter(None, (chosen, _THIS_MACHINE)))
    return {"NO_PROXY": exceptions, "no_proxy": exceptions}


def _value(environ: Mapping[str, str], variable: str) -> str:
    return environ.get(variable) or environ.get(variable.lower()) or ""


def _is_complete(proxy: str) -> bool:
    """Tell a URL from `proxy:3128` and `user:password@proxy`, which begin with what looks like a scheme."""
    return "://" in proxy


def _address(parts: SplitResult) -> str:
    """Write it without the password."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_direct(host: str, port: str, exceptions: str) -> bool:
    """Tell whether a host is this machine, or one of the exceptions."""
    ip = _ip(host)
    if host == "localhost" or (ip and ip.is_loopback):
        return True
    name = _in_ascii(host)
    rules = (rule.strip().lower() for rule in exceptions.split(","))
    return any(_exempts(rule, name, port, ip) for rule in rules if rule)


def _exempts(rule: str, name: str, port: str, ip: IPv4Address | IPv6Address | None) -> bool:
    if rule == "*":
        return True
    if network := _network(rule):
        return ip is not None and ip in network
    host, only_port = _host_and_port(rule)
    if not host or (only_port and only_port != port):
        return False
    if (its := _ip(host)) or ip:
        return its == ip
    return _is_within(name, _in_ascii(host.removeprefix("*") if host.startswith("*.") else host))


def _is_within(name: str, domain: str) -> bool:
    """Exempt a domain with all that is in it; one with a leading dot without itself."""
    if domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith(f".{domain}")


def _host_and_port(rule: str) -> tuple[str, str]:
    """Split a rule: an empty port where it has none; all of it is the host where it cannot be taken apart."""
    found = _HOST_PORT.fullmatch(rule)
    if not found:
        return rule, ""
    return found["bracketed"] or found["host"] or "", found["of_bracketed"] or found["port"] or ""


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is; None where it is a name. A zone does not count."""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _network(rule: str) -> IPv4Network | IPv6Network | None:
    """Read a CIDR. What ipaddress takes beyond that, such as a netmask, is none for Go."""
    if not re.fullmatch(r"[^/]+/\d+", rule, re.ASCII):
        return None
    try:
        return ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return None


def _in_ascii(host: str) -> str:
    """Write a host as it is asked for in DNS; leave it alone where that cannot be said."""
    if host.isascii():
        return host
    import idna  # noqa: PLC0415 - tables that hardly anybody needs

    dot = "." if host.startswith(".") else ""
    try:
        return dot + idna.encode(host.removeprefix("."), uts46=True).decode()
    except idna.IDNAError:
        return host
