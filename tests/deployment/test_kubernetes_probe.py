"""The prober's manifests, held against Kubernetes' own schemas and rules; and what they start, started."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from mirrorlist_snapshot import format as snapshot_format
from support.paths import ROOT
from support.processes import SECONDS, eventually
from support.web_folder import repository, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = ROOT / "deploy/kubernetes/mirrorlist-probe.yaml"
LABELS = {"app.kubernetes.io/name": "mirrorlist-probe"}


def manifests() -> dict[str, dict[str, Any]]:
    """All of them, by kind."""
    documents: list[dict[str, Any]] = list(YAML(typ="safe").load_all(MANIFEST))
    return {document["kind"]: document for document in documents}


def pod() -> dict[str, Any]:
    """What the deployment makes."""
    found: dict[str, Any] = manifests()["Deployment"]["spec"]["template"]
    return found


def containers() -> dict[str, dict[str, Any]]:
    """The pod's containers, by name."""
    return {one["name"]: dict(one) for one in pod()["spec"]["containers"]}


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.29", kubernetes_validate.latest_version().rpartition(".")[0]])
@pytest.mark.parametrize("kind", list(manifests()))
def test_kubernetes_schemas_accept_them(kind: str, version: str) -> None:
    """Each object is one of an API that exists in old and new versions, without an unknown field."""
    kubernetes_validate.validate(manifests()[kind], version, strict=True)


def test_the_pod_is_restricted_and_alone() -> None:
    """The Pod Security Standard `restricted`, a read-only root; one pod, which ends before the next one starts."""
    spec = pod()["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers().values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert spec["automountServiceAccountToken"] is False
    deployment = manifests()["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_every_name_means_what_it_should() -> None:
    """Selectors find the pod, ports and volumes are those of its containers, Prometheus asks the prober's port."""
    found = manifests()
    assert pod()["metadata"]["labels"] == LABELS
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == LABELS
    assert found["Service"]["spec"]["selector"] == LABELS
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABELS
    ports = {port["name"]: port["containerPort"] for one in containers().values() for port in one["ports"]}
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in ports
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    volumes = {volume["name"]: volume for volume in pod()["spec"]["volumes"]}
    mounts = {mount["name"] for one in containers().values() for mount in one["volumeMounts"]}
    assert volumes.keys() == mounts
    claim = found["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim
    assert volumes["sources"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]


def arguments(name: str, changes: dict[str, str]) -> list[str]:
    """The command of a container, with some of its words changed; each must occur."""
    words = [str(word) for word in (*containers()[name]["command"], *containers()[name]["args"])]
    assert set(changes) <= set(words)
    return [sys.executable, "-m", words[0].replace("-", "_"), *(changes.get(word, word) for word in words[1:])]


@pytest.mark.process
def test_what_the_pod_runs(tmp_path: Path) -> None:
    """With its arguments, sources and a folder as the store: the prober publishes and tells metrics, pages answer."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "state").mkdir()
    for arch in ("x86_64", "aarch64"):
        repository(tmp_path / "tree/9/Everything" / arch)
    stored = tmp_path / "mirrors.mls"
    probe = arguments(
        "probe",
        {
            "/etc/mirrorlist-admin/sources": str(tmp_path / "sources"),
            "/state": str(tmp_path / "state"),
            "5m": "1s",
            "s3://example-mirrors/mirrors.mls": str(stored),
            "0.0.0.0:9105": "127.0.0.1:0",
        },
    )
    serve = arguments("serve", {"/state": str(tmp_path / "state"), "0.0.0.0": "127.0.0.1", "8090": "0"})
    probe += ["--allow-network", "127.0.0.0/8"]
    with served(tmp_path / "tree") as here:
        text = manifests()["ConfigMap"]["data"]["mirrors.toml"]
        (tmp_path / "sources/mirrors.toml").write_text(re.sub(r"https://\S+/epel/", f"http://127.0.0.1:{here}/", text))
        with (
            subprocess.Popen(probe, stdout=subprocess.PIPE, text=True) as prober,
            subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server,
        ):
            try:
                assert prober.stdout is not None
                port = json.loads(_line(prober.stdout.readline, "metrics"))["port"]
                eventually(stored.exists, "it has published")
                snapshot = snapshot_format.verify(stored.read_bytes())
                assert [mirror.name for mirror in snapshot.mirrors] == ["mirror.example.net"]
                assert snapshot.sets.members(0) == [0]
                metrics = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS).read().decode()
                assert "mirrorlist_probe_runs_total" in metrics
                assert server.stdout is not None
                address = next(word for word in _line(server.stdout.readline, "http://").split() if "http://" in word)
                path = containers()["serve"]["readinessProbe"]["httpGet"]["path"]
                assert urlopen(address.strip("/,;.") + path, timeout=SECONDS).status == 200
            finally:
                prober.terminate()
                server.terminate()
    assert (prober.returncode, server.returncode) == (0, 0)


def _line(read: Callable[[], str], word: str) -> str:
    """The first line with a word in it."""
    while word not in (line := read()):
        assert line, f"no line with {word}"
    return line
