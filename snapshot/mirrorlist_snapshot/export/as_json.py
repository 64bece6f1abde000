"""Formats in JSON: all that is public, and Arch Linux' mirror status. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mirrorlist_snapshot.country_names import english_name
from mirrorlist_snapshot.model import Families

if TYPE_CHECKING:
    from mirrorlist_snapshot.export.selected import ExportedMirror, Selected


def everything(selected: Selected) -> str:
    """Return all mirrors with all that is public of them."""
    return _text(
        {
            "serial": selected.serial,
            "built": selected.built,
            "mirrors": [
                {
                    "name": mirror.name,
                    "country": mirror.country,
                    "continent": mirror.continent,
                    "worldwide": mirror.worldwide,
                    "also_countries": list(mirror.also_countries),
                    "bandwidth": mirror.bandwidth,
                    "private": mirror.private,
                    "fallback": mirror.fallback,
                    "about": mirror.about.stated(),
                    "categories": {
                        name: {"urls": list(tree.urls), "arches": list(tree.arches)}
                        for name, tree in mirror.trees.items()
                    },
                }
                for mirror in selected.mirrors
            ],
        }
    )


def arch_status(selected: Selected) -> str:
    """Return Arch Linux' mirror status, version 3: a row for each URL of http, https and rsync.

    reflector leaves a mirror without `last_sync` out. So a mirror that was not observed has the time of the snapshot,
    which has what the sources say is up to date; nothing is known of its delay, which is 0 then.
    """
    rows = [row for mirror in selected.mirrors for row in _status_rows(mirror, selected.built)]
    rows.sort(key=lambda row: row["url"])
    return _text(
        {
            "cutoff": 86_400,
            "last_check": _moment(selected.built),
            "num_checks": 1,
            "check_frequency": 0,
            "urls": rows,
            "version": 3,
        }
    )


def _status_rows(mirror: ExportedMirror, built: int) -> list[dict[str, Any]]:
    health = mirror.health
    delay = max(health.lags.values(), default=0) if health else 0
    synced = health.checked - delay if health else built
    return [
        {
            "url": url,
            "protocol": protocol,
            "last_sync": _moment(synced),
            "completion_pct": 1.0,
            "delay": delay,
            "duration_avg": 0.0,
            "duration_stddev": 0.0,
            "score": round(delay / 3600, 4),
            "active": True,
            "country": english_name(mirror.country) if mirror.country else "",
            "country_code": mirror.country or "",
            "isos": False,
            "ipv4": Families.IPV4 in mirror.only.families,
            "ipv6": Families.IPV6 in mirror.only.families,
            "details": "",
        }
        for url in mirror.only.urls
        if (protocol := url.partition(":")[0]) in {"http", "https", "rsync"}
    ]


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
