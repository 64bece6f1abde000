"""No file of deploy/ is without a test that runs it or has its own tool judge it."""

from __future__ import annotations

import re

from support.paths import ROOT

TESTED = {
    "container/Containerfile": "tests/deployment/test_container.py",
    "container/Containerfile.dockerignore": "tests/support/deployment/images.py",
    "container/requirements.txt": "tests/deployment/test_container.py",
    "grafana/mirrorlistd.json": "tests/deployment/test_monitoring.py",
    "haproxy/haproxy.cfg": "tests/support/deployment/proxies.py",
    "kubernetes/mirrorlist-probe.yaml": "tests/deployment/test_kubernetes_probe.py",
    "kubernetes/mirrorlistd.yaml": "tests/support/deployment/manifests.py",
    "logrotate": "tests/deployment/test_systemd.py",
    "mirrorlistd.toml": "tests/deployment/test_systemd.py",
    "nginx/mirrorlist-admin.conf": "tests/support/deployment/proxies.py",
    "nginx/mirrorlistd.conf": "tests/support/deployment/proxies.py",
    "prometheus/alerts.yml": "tests/deployment/test_monitoring.py",
    "prometheus/prometheus.yml": "tests/deployment/test_monitoring.py",
    "systemd/mirrorlist-admin.service": "tests/deployment/test_systemd_admin.py",
    "systemd/mirrorlist-admin.sysusers.conf": "tests/deployment/test_systemd_admin.py",
    "systemd/mirrorlist-probe.service": "tests/deployment/test_systemd_admin.py",
    "systemd/mirrorlistd.service": "tests/deployment/test_systemd.py",
    "systemd/mirrorlistd.socket": "tests/deployment/test_systemd.py",
}
"""File of deploy/ -> the test, or the test's helper, that uses the file itself."""


def test_every_file_has_a_test() -> None:
    """What is added to deploy/ needs a row in the table above, and what is taken away loses it."""
    deploy = ROOT / "deploy"
    assert {str(path.relative_to(deploy)) for path in deploy.rglob("*") if path.is_file()} == TESTED.keys()


def test_the_handbook_names_every_file_and_every_link_leads_somewhere() -> None:
    """Links of docs/operating.md are files of the repository, or headings of their own page."""
    handbook = ROOT / "docs/operating.md"
    text = handbook.read_text()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text)
    assert links
    for path, heading in links:
        assert (handbook.parent / path).exists(), path
        assert path or heading in headings, heading
    named = {path.removeprefix("../deploy/") for path, _ in links if path.startswith("../deploy/")}
    assert not [file for file in TESTED if not any(file.startswith(one) for one in (*named, "container/"))]
