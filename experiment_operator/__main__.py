"""The program: `experiment-operator`, and `python -m experiment_operator`."""

import atexit
import os
import signal
import sys


def main() -> int:
    """Return the exit code of the command, or that of a broken pipe where nobody reads on."""
    code = 1  # that of an exception
    # While the interpreter is torn down, threads of Temporal's SDK may crash it (SDK issue 300). What is registered
    # first is called last, so the process ends before that.
    atexit.register(lambda: os._exit(code))
    try:
        code = _run()
    except SystemExit as end:  # of argparse, which uses numbers
        code = int(end.code or 0)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    return code


def _run() -> int:
    # The first process of a container hears only the signals that it has a handler for. Until a command has its own,
    # nothing has been begun that would have to be ended.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from experiment_operator import cli  # noqa: PLC0415 - takes a second

    try:
        try:
            return cli.main()
        finally:  # also on the way of --help, which leaves by SystemExit
            sys.stdout.flush()
    except BrokenPipeError:
        return _end_with_the_reader()


def _end_with_the_reader() -> int:
    """End as a program that SIGPIPE kills, without a word: in `doctor | head -1`, head has seen enough."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):  # what they still hold is written when the interpreter ends
        os.dup2(nowhere, stream.fileno())
    return 128 + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
