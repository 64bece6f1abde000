"""Entry of `mirrorlistd` and `python -m mirrorlistd`: survives SIGHUP from its first line on, then loads the rest.

An admin system may push, and signal, while the server is still starting; the default action would kill it.
"""

import signal

_hangups: list[int] = []
signal.signal(signal.SIGHUP, lambda number, _frame: _hangups.append(number))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # logrotate's: until there is a file of statistics to open again

import os  # noqa: E402 - the handler comes first, on purpose
import sys  # noqa: E402 - as above


def main() -> None:
    """Run the command line and exit with its status."""
    # numpy's linear algebra, which nobody here uses, starts threads when imported: who forks must have none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mirrorlistd.cli import run  # noqa: PLC0415 - heavy imports come after the signal handler

    sys.exit(run(sys.argv[1:], _hangups))


if __name__ == "__main__":
    main()
