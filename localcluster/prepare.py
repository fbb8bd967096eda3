"""`python -m localcluster.prepare`: sees to it that the control plane's binaries are there, and prints where.

For a Makefile or CI: the minutes of a first build, with its progress, come before anything that has a time limit.
"""

from __future__ import annotations

import asyncio
import sys

from localcluster import LocalClusterError
from localcluster.binaries import ensure


def main() -> int:
    try:
        print(asyncio.run(ensure()).etcd.parent)
    except LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
