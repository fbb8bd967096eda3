"""Logs: one line an event, for people on a terminal and JSON elsewhere, the libraries' included.

What happens within a run or a trace bears its id, wherever it is logged (`worker/context.py`, `telemetry/tracing.py`).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from telemetry import tracing

# Nothing here logs a credential on purpose. Libraries' errors may quote one: a header, a URL, a piece of a kubeconfig.
_SECRETS = re.compile(
    r"""(?xs)
    (?P<before> [Bb]earer\ | token:\ | client-key-data:\ | password:\ ) [-\w.~+/=]{16,}
    | eyJ[-\w]{8,}\.[-\w]+(\.[-\w]*)?
    | (?P<scheme> ://)[^\s/:@]*:[^\s/@]+(?=@)
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----.*?(-----END\ [A-Z\ ]*PRIVATE\ KEY-----|$)
    """
)


def configure(level: str, style: str, levels: Mapping[str, str]) -> None:
    """Configure logging. `style` is `console`, `json`, or `auto`: console where standard error is a terminal.

    `levels` are those of single modules, with all that is in them.
    """
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace_id,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # The default, where rich is installed, prints the variables of each frame: a caller's token among them.
    people = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = people if console else structlog.processors.JSONRenderer()
    exceptions = [] if console else [structlog.processors.format_exc_info]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *exceptions,
                renderer,
                _hide_secrets,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for module, own in levels.items():
        logging.getLogger(module).setLevel(own.upper())


def _add_trace_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if found := tracing.trace_id():
        event["trace_id"] = found
    return event


def _hide_secrets(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    """Hide secrets in the finished line, so that it covers tracebacks and what libraries say, too."""
    return _SECRETS.sub(lambda found: f"{found['before'] or found['scheme'] or ''}[hidden]", str(line))
