"""The command `dev`: the stack with the sample applied, left running until Ctrl-C or SIGTERM.

While it is ready, `.local/env` in the current directory tells scripts where everything is.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from experiment_operator.local.stack import AGENT, NAMESPACE, SAMPLE, Stack, StackError, running_stack
from experiment_operator.settings import Dev
from experiments.names import EXECUTE_AT
from localcluster.foreground import run
from localcluster.tools import tool

_ENV = Path(".local") / "env"


def dev(_: Dev) -> int:
    """Run the stack. Returns 0 when it was told to end, 1 when something did not work."""
    code = run(_dev())
    return 0 if code > 128 else code


async def _dev() -> None:
    with _alone():
        try:
            async with running_stack() as stack:
                await stack.cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(SAMPLE))
                await stack.cluster.kubectl(
                    "wait", "-n", NAMESPACE, "-f", str(SAMPLE), "--for=condition=Ready", "--timeout=30s"
                )
                # So that there is an evaluation to see, and its verdict a moment later.
                await stack.cluster.kubectl("annotate", "-n", NAMESPACE, "-f", str(SAMPLE), f"{EXECUTE_AT}=now")
                _write_env(stack)
                print(_addresses(stack))
                await asyncio.Event().wait()
        finally:
            _ENV.unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Lock out a second stack. The lock goes with the process, however that ends; the file may outlive a killed one."""
    _ENV.parent.mkdir(exist_ok=True)
    try:
        with filelock.FileLock(_ENV.with_name("dev.lock"), timeout=0):
            _ENV.unlink(missing_ok=True)
            yield
    except filelock.Timeout:
        raise StackError(f"a stack runs in this directory already; {_ENV} says where") from None


def _write_env(stack: Stack) -> None:
    """Write the file all at once, so that a script never reads half of it."""
    values = {**stack.cluster.env(), "API_URL": stack.api_url, "TESTKUBE_API_URL": stack.testkube_url}
    new = _ENV.with_name("env.new")
    new.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))
    new.replace(_ENV)


def _addresses(stack: Stack) -> str:
    kubectl = "kubectl" if shutil.which("kubectl") else os.path.relpath(tool("kubectl"))
    roll_out = f"{kubectl} set image -n {NAMESPACE} deployment/{AGENT} '*={AGENT}:0.2.0'"
    return f"""
Everything runs, and {SAMPLE.name} is applied in namespace {NAMESPACE}.

  Page         {stack.api_url}/
  API          {stack.api_url}/api/v1/experiments
               {stack.api_url}/docs
  Testkube     {stack.testkube_url}/v1, a simulation: no agent is asked, and scores are made up from
               scenarios and image. A rollout starts an evaluation (0.3.0 answers worse):
               {roll_out}
  Temporal UI  {stack.cluster.temporal_ui_url}
  kubectl      export KUBECONFIG={stack.cluster.kubeconfig}; {kubectl} get exp -A
  Service log  {stack.service_log}
  Scripts      set -a; . {_ENV}; set +a

Ctrl-C ends it; nothing is kept."""
