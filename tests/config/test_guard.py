"""What protects an operator is not lost by a reload of settings that are emptied or cut off."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirrorlistd.config import Config, lost_guards

STRICT = Config(
    snapshot=Path("s.mls"),
    status=Path("status.toml"),
    trusted_keys=(Path("one.pub"), Path("two.pub")),
    trusted_proxies=("10.0.0.1/32",),
    forwarded_header="x-real-ip",
    max_loss=5,
    max_down=20,
    max_age=3600,
    explain_networks=("10.0.0.0/8",),
)


def test_whatever_is_lost_is_refused_with_its_name() -> None:
    """Settings that are all gone give a line for each of them, and the way out."""
    lost = lost_guards(STRICT, Config())
    names = [field.name for field in dataclasses.fields(Config)]
    assert len(lost) == sum(getattr(STRICT, name) != getattr(Config(), name) for name in names)
    assert all("restart if it is meant" in line for line in lost)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"trusted_keys": ()}, "--trusted-key"),
        ({"snapshot": None}, "--snapshot"),
        ({"status": None}, "--status"),
        ({"trusted_proxies": ()}, "--trusted-proxy"),
        ({"forwarded_header": "x-forwarded-for"}, "--forwarded-header"),
        ({"max_loss": 10.0}, "--max-loss"),
        ({"max_down": 50.0}, "--max-down"),
        ({"max_age": 0.0}, "--max-age"),
        ({"explain_networks": ("127.0.0.0/8", "::1/128")}, "--explain-network"),
    ],
)
def test_each_protection_counts_alone(change: dict[str, Any], flag: str) -> None:
    """One line that begins with the flag."""
    (line,) = lost_guards(STRICT, replace(STRICT, **change))
    assert line.startswith(f"{flag} ")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"trusted_keys": (Path("three.pub"),)},
        {"snapshot": Path("other.mls")},
        {"status": Path("other.toml")},
        {"trusted_proxies": ("unix",)},
        {"max_loss": 100.0},
        {"max_down": 100.0},
        {"max_age": 60.0},
        {"explain_networks": ("192.0.2.0/24",)},
        {"explain_networks": ()},
        {"limit": 3, "geo": Path("geo.mmdb"), "access_log": True},
    ],
)
def test_what_is_meant_is_taken(change: dict[str, Any]) -> None:
    """Another value is an operator's word: keys are rotated, limits raised for one large change."""
    assert not lost_guards(STRICT, replace(STRICT, **change))


def test_a_default_that_was_covered_before_is_no_loss() -> None:
    """Insiders who were insiders before are no new ones; what was weaker than the default may return to it."""
    assert not lost_guards(Config(explain_networks=("0.0.0.0/0", "::/0")), Config())
    assert not lost_guards(Config(max_loss=100, max_down=60), Config())
    assert lost_guards(Config(explain_networks=("127.0.0.0/8",)), Config())
    assert not lost_guards(Config(), Config())
