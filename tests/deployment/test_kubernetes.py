"""The manifests, held against Kubernetes' own schemas and rules; and what they start, started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kubernetes_validate
import pytest

from support.deployment.manifests import manifests, options, options_here, pod, server
from support.processes import SECONDS, Server, eventually, stamped, write_snapshot

if TYPE_CHECKING:
    from pathlib import Path

LABELS = {"app.kubernetes.io/name": "mirrorlistd"}
LIST = "/mirrorlist?repo=r"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.29.0", "1.32.0", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", list(manifests()))
def test_kubernetes_schemas_accept_them(kind: str, version: str) -> None:
    """Each object is one of an API that exists in old and new versions, without an unknown field."""
    minor = version.rpartition(".")[0]
    kubernetes_validate.validate(manifests()[kind], minor, strict=True)


@pytest.mark.slow
def test_the_schemas_refuse_what_is_wrong() -> None:
    """The validator is no rubber stamp: a misspelt field and a wrong type are refused."""
    for path, value in (("replica", 3), ("replicas", "three")):
        document = manifests()["Deployment"]
        document["spec"][path] = value
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(document, "1.32", strict=True)


def test_the_pod_is_restricted() -> None:
    """Everything that the Pod Security Standard `restricted` demands, and a read-only root besides."""
    spec, container = pod()["spec"], server()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all(set(volume) & {"configMap", "emptyDir"} for volume in spec["volumes"])


@pytest.mark.slow
def test_every_selector_finds_the_pod() -> None:
    """Deployment, service, disruption budget, network policy and spread constraints all mean these pods."""
    all_of_them = manifests()
    assert pod()["metadata"]["labels"] == LABELS
    assert all_of_them["Deployment"]["spec"]["selector"]["matchLabels"] == LABELS
    assert all_of_them["Service"]["spec"]["selector"] == LABELS
    assert all_of_them["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == LABELS
    assert all_of_them["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == LABELS
    for constraint in pod()["spec"]["topologySpreadConstraints"]:
        assert constraint["labelSelector"]["matchLabels"] == LABELS
    (port,) = server()["ports"]
    probes = [server()[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")]
    assert {port["name"], all_of_them["Service"]["spec"]["ports"][0]["targetPort"], *probes} == {"http"}
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    mounts = {mount["name"]: mount["mountPath"] for mount in server()["volumeMounts"]}
    assert {volume["name"] for volume in pod()["spec"]["volumes"]} == mounts.keys()
    assert options()["state-dir"] == mounts["state"]
    assert server()["args"][-1] == f"{mounts['config']}/mirrorlistd.toml"


@pytest.mark.slow
def test_there_is_time_to_leave() -> None:
    """A pod drains for longer than readiness takes to fail, and is not killed while it drains."""
    readiness = server()["readinessProbe"]
    assert options()["drain"] > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert pod()["spec"]["terminationGracePeriodSeconds"] >= options()["drain"] + 30
    assert manifests()["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@pytest.fixture
def environ() -> dict[str, str]:
    """What Kubernetes adds to a pod's environment for a service of this name, where links are on."""
    address = "tcp://10.96.0.7:80"
    links = {"PORT": address, "PORT_80_TCP": address, "SERVICE_HOST": "10.96.0.7", "SERVICE_PORT_HTTP": "80"}
    return {f"MIRRORLISTD_{name}": value for name, value in links.items()}


@pytest.mark.process
def test_what_a_pod_runs(tmp_path: Path, environ: dict[str, str]) -> None:
    """Its arguments and options, a folder as the store: ready once it has pulled, pulls anew, drains on SIGTERM.

    Alive all the while: Kubernetes restarts no pod because its store is away.
    """
    (tmp_path / "store").mkdir()
    (tmp_path / "state").mkdir()
    stored = tmp_path / "store/mirrors.mls"
    config = options_here(
        tmp_path, pull=f'"{stored.as_uri()}"', every="1", state_dir=f'"{tmp_path}/state"', drain="3600"
    )
    verb, flag, _ = server()["args"]
    assert verb == "serve"
    with Server(flag, str(config), environ=environ) as running:
        paths = {kind: server()[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
        assert running.get(paths["readiness"]).status == 503
        assert running.get(paths["liveness"]).status == running.get(paths["startup"]).status == 200
        write_snapshot(stored, stamped(1))
        eventually(lambda: running.get(paths["readiness"]).status == 200, "the first snapshot has come")
        write_snapshot(stored, stamped(2), serial=2)
        eventually(lambda: "/s2/" in running.get(LIST).text, "the second one has come")
        (tmp_path / "new").write_text('"m3.example" = "down"')
        (tmp_path / "new").replace(tmp_path / "status.toml")
        eventually(lambda: "m3.example" not in running.get(LIST).text, "the brake is on")
        assert running.get(pod()["metadata"]["annotations"]["prometheus.io/path"]).status == 200
        running.process.terminate()
        eventually(lambda: running.get(paths["readiness"]).status == 503, "it drains")
        assert running.get(LIST).status == 200
        assert running.get(paths["liveness"]).status == 200
        running.process.terminate()
        assert running.process.wait(SECONDS) == 0
