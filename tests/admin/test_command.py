"""The command `mirrorlist-admin` as a whole."""

from __future__ import annotations

import pytest

from mirrorlist_admin.cli import main


def test_the_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """`mirrorlist-admin --help` ends well and names the exit statuses."""
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert not end.value.code
    assert "exit status" in capsys.readouterr().out
