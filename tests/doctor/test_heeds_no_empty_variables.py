"""What is empty in the environment is heeded by nothing, be it read by this service or by a library."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT

TEMPORAL = ("NAMESPACE", "API_KEY", "TLS", "TLS_SERVER_NAME", "TLS_CLIENT_CERT_DATA", "TLS_CLIENT_CERT_PATH", "PROFILE")
OPENTELEMETRY = ("TRACES_SAMPLER", "BSP_MAX_QUEUE_SIZE", "BSP_SCHEDULE_DELAY", "SPAN_ATTRIBUTE_COUNT_LIMIT")
OTHERS = ("KUBECONFIG", "LOG_LEVELS", "API_TLS_DIR", "METRICS_PORT", "WEBHOOK", "SSL_CERT_FILE", "NO_PROXY")


async def test_with_empty_variables_the_doctor_finds_nothing(environment, cluster, tmp_path):
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").symlink_to(cluster.kubeconfig)
    environment(**{f"TEMPORAL_{name}": "" for name in TEMPORAL}, **{f"OTEL_{name}": "" for name in OPENTELEMETRY})
    environment(**dict.fromkeys(OTHERS, ""), HOME=str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "experiment_operator", "doctor"), env=os.environ.copy(), stdout=PIPE, stderr=STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert (process.returncode, said.splitlines()[-1]) == (0, "0 faults, 0 warnings"), said
