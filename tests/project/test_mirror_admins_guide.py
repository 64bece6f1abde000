"""docs/mirror-admins.md: its configuration works as written, and it knows every state, key and exit status."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from mirrorlist_admin import mirrorlist_report
from mirrorlist_admin.checkin.report_form import Report
from mirrorlist_admin.views.mirrors import State
from support.checkin_server import scripted_server
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

GUIDE = (ROOT / "docs" / "mirror-admins.md").read_text("utf-8")
INTERFACE = (ROOT / "docs" / "http-api.md").read_text("utf-8")


def test_the_configuration_works_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the server's address and the paths of this machine in it, `mirrorlist-report` takes the shown file."""
    shown = re.search(r"```ini\n(.*?)```", GUIDE, re.DOTALL)
    assert shown
    tree = tmp_path / "epel"
    (tree / "9").mkdir(parents=True)
    (tree / "9" / "repomd.xml").write_text("<repomd/>")
    (tmp_path / "token").write_text("mlr_" + "a" * 43)
    (tmp_path / "token").chmod(0o600)
    task = {"mirror": "m", "serial": 1, "units": {"epel": ["9/repomd.xml"]}, "challenge": None}
    with scripted_server(task) as server:
        text = shown[1].replace("https://mirrors.example.org", server.url)
        text = text.replace("/etc/mirrorlist-report.token", str(tmp_path / "token"))
        (tmp_path / "report.ini").write_text(text.replace("/srv/mirror/epel", str(tree)))
        assert mirrorlist_report.main(["--config", str(tmp_path / "report.ini"), "-v"]) == 0
        assert server.reports[0]["units"]["epel"]["9/repomd.xml"]["size"] == 9
    assert capsys.readouterr().err == "mirrorlist-report: m: reported\n"


def test_the_help_shows_a_configuration_with_every_key() -> None:
    """What `--help` shows is a configuration that the program reads, and the guide has the same keys."""
    lines = mirrorlist_report.EPILOG.partition("From cron")[0].splitlines()[2:]
    config = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#",))
    config.read_string("\n".join(line.strip() for line in lines))
    keys = {*config["server"], "token", "follow-links"}
    for key in keys - {"token"}:
        assert re.search(rf"^{key} = |`{key} = ", GUIDE, re.MULTILINE), key
    assert dict(config["folders"]) == {"epel": "/srv/mirror/epel"}


def test_every_state_is_explained() -> None:
    """The table has a row for each state that the pages show, and no other."""
    section = GUIDE[GUIDE.index("## Why is it out") : GUIDE.index("## What the prober asks")]
    assert set(re.findall(r"^\| ([a-z ]+) \|", section, re.MULTILINE)) - {"state"} == {state.value for state in State}


def test_every_exit_status_is_explained() -> None:
    """The table has a row for each."""
    statuses = {mirrorlist_report.DONE, mirrorlist_report.LOCAL, mirrorlist_report.USAGE}
    statuses |= {mirrorlist_report.UNREACHED, mirrorlist_report.REFUSED}
    assert {int(number) for number in re.findall(r"^\| ([0-9]) \|", GUIDE, re.MULTILINE)} == statuses


def test_every_key_of_a_report_is_documented() -> None:
    """The section Check-in names each key that a report may have, and no other."""
    section = INTERFACE.partition("`POST /checkin` takes")[2].partition("| status | meaning |")[0]
    rows = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(Report.model_fields)
