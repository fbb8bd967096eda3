"""A Temporal server on PostgreSQL as in production, on this machine: for `capacity`.

The server is built once, with Go, from the module `temporalserver/` beside this file, at the version that is inside the
dev server of the tests. PostgreSQL is what the system's package (postgresql) has installed, with a data directory of
its own that is gone afterwards. Both listen on loopback, and end with this process. Linux only.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import filelock
import httpx
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, RegisterNamespaceRequest
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient

from benchmarks.processes import children_of, cpu_seconds
from localcluster.binaries import cached
from localcluster.processes import Process, free_port

_HOST = "127.0.0.1"
_MODULE = Path(__file__).with_name("temporalserver")
_PACKAGES = ("go.temporal.io/server/cmd/server", "go.temporal.io/server/cmd/tools/sql")
_NAME = "temporal"  # of the user, of the database and, with a suffix, of the one for lists
_VISIBILITY = f"{_NAME}_visibility"
_NAMESPACE = "default"
_SERVICES = ("frontend", "history", "matching", "worker")
_HEALTH_LIMIT = 5.0


def find_programs() -> None:
    """See to it that everything is there. Raises RuntimeError with what to install."""
    _postgres_programs()
    _binaries()


def _binaries() -> tuple[Path, Path]:
    """Find the server and the tool for its schema, or build them. Raises RuntimeError with what to install."""
    into = cached("temporalserver", _MODULE)
    into.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{into}.lock"):
        if not into.exists():
            _build(into)
    return into / "server", into / "sql"


def _build(into: Path) -> None:
    go = shutil.which("go")
    if not go:
        raise RuntimeError("a Temporal server has to be built, and there is no Go to build it with: install Go 1.26")
    print(f"Building Temporal's server with {go} into {into} (about ten minutes) ...", file=sys.stderr, flush=True)
    unfinished = into.with_name(f"{into.name}.unfinished")
    command = [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", f"{unfinished}/", *_PACKAGES]
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    if subprocess.run(command, cwd=_MODULE, env=environ, check=False).returncode:
        raise RuntimeError("Temporal's server cannot be built: Go says why above")
    unfinished.rename(into)


class Postgres:
    """One PostgreSQL server: `async with Postgres.start() as postgres`."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._password = secrets.token_hex()
        self._process: Process | None = None
        self.port = free_port()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """Run one with settings as they come, which wait for the disk. Raises RuntimeError with what to install."""
        programs = _postgres_programs()
        with tempfile.TemporaryDirectory(prefix="postgres-") as directory:
            postgres = cls(programs, Path(directory))
            try:
                await postgres._start()
                yield postgres
            finally:
                await postgres._stop()

    async def _start(self) -> None:
        password, data = self._directory / "password", self._directory / "data"
        password.write_text(self._password)
        if os.geteuid() == 0:  # as which PostgreSQL does not run: its package has made a user
            for path in (self._directory, password):
                shutil.chown(path, "postgres")
        initdb = ["initdb", f"--pgdata={data}", f"--username={_NAME}", f"--pwfile={password}"]
        self._run([*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"])
        where = ["-D", str(data), "-h", _HOST, "-p", str(self.port), "-k", str(self._directory)]
        self._process = Process.start(self._as_postgres(["postgres", *where]), self._directory / "log")

        async def answers() -> bool:
            return self._query("SELECT 1", check=False) == "1"

        await self._process.until(answers)

    async def _stop(self) -> None:
        if self._process:
            # Killed, it would leave its piece of shared memory behind.
            self._run(["pg_ctl", "stop", f"--pgdata={self._directory / 'data'}", "--mode=immediate"], check=False)
            await self._process.stop()

    @property
    def environ(self) -> dict[str, str]:
        """What Temporal's tool for the schema needs to get in."""
        return {"SQL_PLUGIN": "postgres12", "SQL_HOST": _HOST, "SQL_PORT": str(self.port), **self._login("SQL_")}

    def datastore(self, database: str, connections: int) -> dict[str, Any]:
        """What Temporal's configuration says of it."""
        return {
            "sql": {
                "pluginName": "postgres12",
                "databaseName": database,
                "connectAddr": f"{_HOST}:{self.port}",
                "connectProtocol": "tcp",
                "user": _NAME,
                "password": self._password,
                "maxConns": connections,
                "maxIdleConns": connections,
            }
        }

    def totals(self) -> dict[str, float]:
        """What Temporal has had it do so far."""
        databases = f"datname IN ('{_NAME}', '{_VISIBILITY}')"
        rows = "sum(tup_inserted + tup_updated + tup_deleted)"
        query = (
            f"SELECT sum(xact_commit), {rows},"
            " (SELECT wal_sync FROM pg_stat_wal), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
            f" FROM pg_stat_database WHERE {databases}"
        )
        names = ("transactions", "rows", "WAL syncs", "WAL bytes")
        return dict(zip(names, map(float, self._query(query).split("|")), strict=True))

    def compacted_bytes(self) -> float:
        """Clean up, and return what Temporal's databases then take on disk."""
        for database in (_NAME, _VISIBILITY):
            self._query("VACUUM FULL", database)
        return float(self._query(f"SELECT pg_database_size('{_NAME}') + pg_database_size('{_VISIBILITY}')"))

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far, those that have ended included."""
        pid = int((self._directory / "data" / "postmaster.pid").read_text().split()[0])
        seconds = 0.0
        for child in children_of(pid):
            with suppress(FileNotFoundError):  # it has ended meanwhile
                seconds += cpu_seconds(child)
        return seconds + cpu_seconds(pid, with_ended=True)

    def _query(self, sql: str, database: str = "postgres", *, check: bool = True) -> str:
        login = {"PGHOST": _HOST, "PGPORT": str(self.port), **self._login("PG"), "PGDATABASE": database}
        command = [str(self._programs / "psql"), "-XAtc", sql]
        found = subprocess.run(command, env={**os.environ, **login}, capture_output=True, text=True, check=False)
        if check and found.returncode:
            raise RuntimeError(f"PostgreSQL: {found.stderr.strip()}")
        return found.stdout.strip()

    def _login(self, prefix: str) -> dict[str, str]:
        return {f"{prefix}USER": _NAME, f"{prefix}PASSWORD": self._password}

    def _run(self, command: list[str], *, check: bool = True) -> None:
        done = subprocess.run(self._as_postgres(command), cwd="/", capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")

    def _as_postgres(self, command: list[str]) -> list[str]:
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        return [*become, str(self._programs / command[0]), *command[1:]]


def _postgres_programs() -> Path:
    # Debian keeps those of each version apart, and puts only some on PATH.
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = shutil.which("postgres", path=os.pathsep.join([*map(str, debian), os.environ.get("PATH", "")]))
    if not found:
        raise RuntimeError("PostgreSQL is missing: install the package postgresql of your system (14 to 17)")
    return Path(found).parent


class Temporal:
    """All four services of one Temporal server in one process, on a database of `Postgres`."""

    def __init__(self, frontend: int, metrics: int) -> None:
        self.address = f"{_HOST}:{frontend}"
        self._metrics = f"http://{_HOST}:{metrics}/metrics"

    @classmethod
    @asynccontextmanager
    async def start(cls, postgres: Postgres, directory: Path, shards: int) -> AsyncIterator[Self]:
        """Run one with `shards` history shards and nothing changed in its dynamic configuration."""
        server, sql = _binaries()
        for database, schema in ((_NAME, "temporal"), (_VISIBILITY, "visibility")):
            for command in (
                ["create-database"],
                ["setup-schema", "--version=0.0"],
                ["update-schema", f"--schema-name=postgresql/v12/{schema}"],
            ):
                _sql_tool(sql, {**postgres.environ, "SQL_DATABASE": database}, command)
        rpc = {name: (free_port(), _low_port()) for name in _SERVICES}
        metrics = free_port()
        config = directory / "temporal-server.json"
        config.touch(mode=0o600)  # it has the password
        config.write_text(json.dumps(_config(postgres, rpc, metrics, shards)))  # which is YAML as well
        start = [str(server), f"--config-file={config}", "--allow-no-auth", "start"]
        process = Process.start(start, directory / "temporal-server.log")
        temporal = cls(rpc["frontend"][0], metrics)
        try:
            await process.until(temporal._serves, limit=120)
            yield temporal
        finally:
            await process.stop()

    async def metrics(self) -> str:
        """Return its metrics as Prometheus reads them."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(self._metrics, timeout=30)).raise_for_status().text

    async def _serves(self) -> bool:
        """Tell whether its namespace can be used, which is registered the first time."""
        try:
            async with asyncio.timeout(_HEALTH_LIMIT):
                client = await ServiceClient.connect(ConnectConfig(target_host=self.address))
                await _register(client)
                await client.workflow_service.list_workflow_executions(
                    ListWorkflowExecutionsRequest(namespace=_NAMESPACE, page_size=1)
                )
        except (RPCError, RuntimeError, TimeoutError):
            return False
        return True


async def _register(client: ServiceClient) -> None:
    retention = Duration(seconds=24 * 3600)
    request = RegisterNamespaceRequest(namespace=_NAMESPACE, workflow_execution_retention_period=retention)
    try:
        await client.workflow_service.register_namespace(request)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


def _sql_tool(tool: Path, environ: dict[str, str], command: list[str]) -> None:
    done = subprocess.run(
        [str(tool), *command], env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"Temporal's schema, {command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")


def _low_port() -> int:
    """Find a free port that fits into a `smallint`, which is what Temporal's schema has for those of its members."""
    while True:
        with suppress(OSError), socket.create_server((_HOST, port := random.randint(20_000, 32_767))):
            return port


def _config(postgres: Postgres, rpc: dict[str, tuple[int, int]], metrics: int, shards: int) -> dict[str, Any]:
    frontend = f"{_HOST}:{rpc['frontend'][0]}"
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": shards,
            "datastores": {
                "default": postgres.datastore(_NAME, 40),
                "visibility": postgres.datastore(_VISIBILITY, 10),
            },
        },
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": _HOST},
            "metrics": {"prometheus": {"timerType": "histogram", "listenAddress": f"{_HOST}:{metrics}"}},
        },
        "services": {
            name: {"rpc": {"grpcPort": grpc, "membershipPort": membership, "bindOnLocalHost": True}}
            for name, (grpc, membership) in rpc.items()
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": frontend,
                }
            },
        },
        "publicClient": {"hostPort": frontend},
    }
