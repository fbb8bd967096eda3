"""The program: `experiment-operator`, and `python -m experiment_operator`."""

import os
import signal
import sys


def main() -> int:
    """Returns the exit code of the command."""
    # The first process of a container hears only the signals that it has a handler for. Until a command has its own,
    # nothing has been begun that would have to be ended.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from experiment_operator import cli  # noqa: PLC0415 - takes a second

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
