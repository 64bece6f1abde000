"""deploy/prometheus and deploy/grafana, judged by Prometheus' own tool and held against what real servers expose."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from ruamel.yaml import YAML

from support.geo_databases import COUNTRY_TEST
from support.paths import DATA, ROOT
from support.processes import SECONDS, Server, eventually, stamped, write_snapshot
from support.web_folder import repository, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
SCRAPE = ROOT / "deploy" / "prometheus" / "prometheus.yml"
ALERT_TESTS = DATA / "prometheus" / "alerts_test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "mirrorlistd.json"
HANDBOOK = ROOT / "docs" / "operating.md"
FROM_PROMETHEUS = {"up"}
"""Names that Prometheus adds by itself."""


def promtool(*arguments: str | Path, said: str = "") -> str:
    """Run Prometheus' tool, which must be content; give what it printed."""
    done = subprocess.run(
        ["promtool", *map(str, arguments)], input=said, capture_output=True, text=True, timeout=3 * SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def yaml(path: Path) -> Any:
    """Read a YAML file."""
    return YAML(typ="safe").load(path.read_text())


def rules() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    found = [rule for group in yaml(ALERTS)["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


RULES = rules()


def expressions() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard: panel or variable, and PromQL without Grafana's variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    filled = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", ())]
    filled += [(note["name"], note["expr"]) for note in dashboard["annotations"]["list"]]
    for name, expression in filled:
        plain = expression.replace("$__rate_interval", "5m").replace("$job", "mirrorlistd").replace("$instance", ".*")
        assert "$" not in plain, expression
        yield name, plain


def names(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(re.findall(r"\b(?:mirrorlistd|mirrorlist_probe|process)_\w+", expression)) | set(
        re.findall(r"\bup\b", expression)
    )


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What /metrics gave: several workers with all that can be counted, and one process that pulls."""
    folder = tmp_path_factory.mktemp("monitoring")
    snapshot = write_snapshot(folder / "mirrors.mls", stamped(1))
    texts: list[str] = []
    several = ("--workers", "2", "--count-countries", "--geo", str(COUNTRY_TEST), "--statistics", str(folder / "log"))
    alone = ("--workers", "1", "--pull", snapshot.as_uri(), "--state-dir", str(folder))
    for flags in ((*several, "--snapshot", str(snapshot)), alone):
        with Server(*flags) as server:
            eventually(lambda: server.get("/readyz").status == 200, "it is ready")
            for target in ("/mirrorlist?repo=r", "/mirrorlist?repo=nothing", "/r/r/file", "/metalink?repo=r&file=x"):
                server.get(target)
            if flags[: len(several)] == several:  # the worker that is asked may not know yet what the other has counted
                eventually(lambda: "mirrorlistd_country_answers_total" in server.get("/metrics").text, "it is told")
            texts.append(server.get("/metrics").text)
    return [*texts, metrics_of_the_prober(folder)]


def metrics_of_the_prober(folder: Path) -> str:
    """What /metrics of `mirrorlist-admin probe` gave after its first run."""
    repository(folder / "tree")
    with served(folder / "tree") as mirror:
        address = f"http://127.0.0.1:{mirror}/"
        (folder / "mirrors.toml").write_text(
            f'[categories.c]\nmaster = "{folder}/tree"\n[repositories.r]\ncategory = "c"\n'
            f'[mirrors.m]\ncountry = "DE"\ncategories.c = "{address}"\n'
        )
        command = [sys.executable, "-m", "mirrorlist_admin", "probe", str(folder / "mirrors.toml"), "--every", "1s"]
        more = ["--state", str(folder / "state"), "--allow-network", "127.0.0.0/8", "--metrics", "0"]
        with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                port = next(json.loads(line)["port"] for line in process.stdout if '"metrics"' in line)
                next(line for line in process.stdout if '"status file written"' in line)
                answer: bytes = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).read()
            finally:
                process.terminate()
    return answer.decode()


@pytest.fixture(scope="module")
def exposed(metrics: list[str]) -> set[str]:
    """The names of all samples of these."""
    return {line.split(" ")[0].partition("{")[0] for text in metrics for line in text.splitlines() if line[0] != "#"}


def test_prometheus_likes_what_we_expose(metrics: list[str]) -> None:
    """Prometheus' linter of metrics has no remark: names, units, types, help."""
    for text in metrics:
        assert promtool("check", "metrics", said=text) == ""


def test_alert_rules_are_valid() -> None:
    """So says promtool, of the rules and of the example that loads them."""
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", ALERTS)
    assert "is valid prometheus config file syntax" in promtool("check", "config", SCRAPE)


def test_alert_rules_fire_when_they_should() -> None:
    """The unit tests pass, and each alert is seen quiet and seen firing in them."""
    assert "SUCCESS" in promtool("test", "rules", ALERT_TESTS)
    seen = {
        (one["alertname"], bool(one["exp_alerts"]))
        for test in yaml(ALERT_TESTS)["tests"]
        for one in test["alert_rule_test"]
    }
    assert seen == {(name, fires) for name in RULES for fires in (False, True)}


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_what_and_where_to_read_on(name: str, exposed: set[str]) -> None:
    """It has a severity, a summary, a description and a place in the handbook, and looks at metrics that exist."""
    rule = RULES[name]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/operating.md#{name.lower()}"
    assert "{{ $labels." in rule["annotations"]["summary"]
    used = names(rule["expr"])
    assert used
    assert used <= exposed | FROM_PROMETHEUS


def test_the_handbook_knows_every_alert_and_no_other() -> None:
    """One heading for each, in the section about alerts, with text below it."""
    _, _, section = HANDBOOK.read_text().partition("\n## What each alert means and what to do\n")
    section = section.partition("\n## ")[0]
    found = re.findall(r"^### (\w+)\n\n(\S.{100,}?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in found] == re.findall(r"^### (.+)$", section, re.MULTILINE)
    assert {name for name, _ in found} == set(RULES)


def test_the_dashboard_asks_for_what_exists(exposed: set[str], tmp_path: Path) -> None:
    """Each query is PromQL, and each metric in it is one that a server exposes."""
    asked = list(expressions())
    assert len(asked) > 30
    for panel, expression in asked:
        assert names(expression), panel
        assert names(expression) <= exposed | FROM_PROMETHEUS, panel
    recorded = [{"record": f"check:query{number}", "expr": query} for number, (_, query) in enumerate(asked)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))  # JSON is YAML
    assert f"SUCCESS: {len(asked)} rules found" in promtool("check", "rules", file)


def test_every_metric_of_ours_is_on_the_dashboard(exposed: set[str]) -> None:
    """What is worth counting is worth seeing; a new metric needs a panel."""
    shown = {name for _, expression in expressions() for name in names(expression)}
    ours = {name for name in exposed if name.startswith(("mirrorlistd_", "mirrorlist_probe_"))}
    ours -= {name for name in ours if name.endswith("_created")}  # when a counter began, by Prometheus' own library
    beside = {
        "mirrorlistd_answer_seconds_count",
        "mirrorlistd_answer_seconds_sum",
        "mirrorlistd_last_pull_duration_seconds",
        "mirrorlistd_last_pull_successful",
        "mirrorlistd_last_pull_timestamp_seconds",
        "mirrorlistd_last_reload_timestamp_seconds",
        "mirrorlistd_last_reload_success_timestamp_seconds",
        "mirrorlistd_snapshot_max_age_seconds",
        "mirrorlistd_worker_serial",
    }
    assert ours - shown - beside == set()


def test_the_dashboard_can_be_imported() -> None:
    """Panels have ids of their own, places that do not overlap, titles and units; servers are chosen by variables."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, width, height = (panel["gridPos"][name] for name in "xywh")
        cells = {(column, line) for column in range(x, x + width) for line in range(y, y + height)}
        assert not cells & taken, panel["title"]
        assert x + width <= 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == ["datasource", "job", "instance"]
