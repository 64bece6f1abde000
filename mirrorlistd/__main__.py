"""Entry point of `mirrorlistd` and `python -m mirrorlistd`: handles SIGHUP from its first line on, then loads the rest.

An admin system may publish, and send SIGHUP, while the server is still starting; the default action would kill it.
"""

import signal

_early_sighups: list[int] = []
signal.signal(signal.SIGHUP, lambda number, _frame: _early_sighups.append(number))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # logrotate sends it; there is no statistics file yet

import os  # noqa: E402 - the handler must come first
import sys  # noqa: E402 - as above


def main() -> None:
    """Run the command line and exit with its status."""
    # numpy's linear algebra, which is not used here, starts threads when imported; a process that forks must have none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mirrorlistd.cli import run  # noqa: PLC0415 - heavy imports come after the signal handler

    sys.exit(run(sys.argv[1:], _early_sighups))


if __name__ == "__main__":
    main()
