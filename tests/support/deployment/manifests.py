"""The Kubernetes manifests, and what the pods in them run."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = ROOT / "deploy/kubernetes/mirrorlistd.yaml"


def manifests() -> dict[str, dict[str, Any]]:
    """All of them, by kind."""
    documents: list[dict[str, Any]] = list(YAML(typ="safe").load_all(MANIFEST))
    return {document["kind"]: document for document in documents}


def pod() -> dict[str, Any]:
    """What the deployment makes."""
    found: dict[str, Any] = manifests()["Deployment"]["spec"]["template"]
    return found


def server() -> dict[str, Any]:
    """The pod's one container."""
    (found,) = pod()["spec"]["containers"]
    return dict(found)


def options() -> dict[str, Any]:
    """What the pod's file of options says."""
    return tomllib.loads(manifests()["ConfigMap"]["data"]["mirrorlistd.toml"])


def options_here(folder: Path, **changes: str) -> Path:
    """Write the pod's files of options into a folder, some lines of the first changed; give that one."""
    text = manifests()["ConfigMap"]["data"]["mirrorlistd.toml"]
    for key, value in changes.items():
        lines = [line for line in text.splitlines() if line.startswith(f"{key.replace('_', '-')} = ")]
        assert len(lines) == 1, f"{key}: {lines}"
        text = text.replace(lines[0], f"{key.replace('_', '-')} = {value}")
    file = folder / "mirrorlistd.toml"
    file.write_text(text)
    (folder / "status.toml").write_text(manifests()["ConfigMap"]["data"]["status.toml"])
    return file
