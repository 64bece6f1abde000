"""Entry of `mirrorlistd` and `python -m mirrorlistd`: survives SIGHUP from its first line on, then loads the rest.

An admin system may push, and signal, while the server is still starting; the default action would kill it.
"""

import signal

_hangups: list[int] = []
signal.signal(signal.SIGHUP, lambda number, _frame: _hangups.append(number))

import sys  # noqa: E402 - the handler comes first, on purpose


def main() -> None:
    """Run the command line and exit with its status."""
    from mirrorlistd.cli import run  # noqa: PLC0415 - heavy imports come after the signal handler

    sys.exit(run(sys.argv[1:], _hangups))


if __name__ == "__main__":
    main()
