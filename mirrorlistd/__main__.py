"""Entry point of `mirrorlistd` and `python -m mirrorlistd`: handles SIGHUP from its first line on, then loads the rest.

An admin system may publish, and send SIGHUP, while the server is still starting; the default action would kill it.
"""

import signal

_early_sighups: list[int] = []
signal.signal(signal.SIGHUP, lambda number, _frame: _early_sighups.append(number))
signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # logrotate sends it; there is no statistics file yet

import os  # noqa: E402 - the handler must come first
import sys  # noqa: E402 - as above


def _open_standard_files() -> None:
    """Open /dev/null for each standard file that is closed: else the next file opened would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115 - a descriptor, open to the end


def main() -> None:
    """Run the command line and exit with its status."""
    _open_standard_files()
    # numpy's linear algebra, which is not used here, starts threads when imported; a process that forks must have none.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mirrorlistd.cli import run  # noqa: PLC0415 - heavy imports come after the signal handler

    sys.exit(run(sys.argv[1:], _early_sighups))


if __name__ == "__main__":
    main()
