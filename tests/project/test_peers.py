"""The defects that other mirror redirectors have or had: one test for each, by its number in docs/prior-defects.md.

Where a whole file of tests holds a defect, the one here is the plainest form of it: what a user reported. Defect 15 (a
check-in that unpickles a stranger's bytes) has no place to happen in: see the test.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from defusedxml.ElementTree import fromstring

from mirrorlistd.request.client_address import Trust, client_address
from mirrorlistd.web.pages.lists import repositories
from support.geo_databases import write_records
from support.paths import ROOT
from support.processes import Server, stamped, write_snapshot
from support.worlds import DE, FR, JP, NOWHERE, US, ask, at, decider, hosts, mirror, network, urls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.process
def test_defect_1_failed_reload_is_loud_and_harmless(tmp_path: Path) -> None:
    """A bad file never ends the process nor hides: log, /readyz and metrics say so, and the next good one is served."""
    snapshot = write_snapshot(tmp_path / "m.mls", stamped(1))
    with Server("--snapshot", str(snapshot)) as server:
        snapshot.write_bytes(b"broken")
        server.send_sighup()
        server.send_sighup()
        server.wait_for_log("reload failed, the old state keeps serving")
        ready = server.get("/readyz")
        assert ready.status == 200
        assert ready.json["last_reload"]["result"] == "failed"
        assert re.search(r'reloads_total\{result="failed"\} [12]\.0', server.get("/metrics").text)
        write_snapshot(snapshot, stamped(2), serial=2)
        server.send_sighup()
        assert server.wait_for_log("reloaded")["serial"] == 2


@pytest.mark.process
def test_defect_2_geo_database_copied_over_in_place(tmp_path: Path) -> None:
    """`cp new.mmdb geo.mmdb` under a running server: the old data answers until the new is loaded, then the new."""
    old = write_records(tmp_path / "geo.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "DE"}}})
    new = write_records(tmp_path / "new.mmdb", {"192.0.2.0/24": {"country": {"iso_code": "FR"}}})
    snapshot = write_snapshot(tmp_path / "m.mls", stamped(1))
    with Server("--snapshot", str(snapshot), "--geo", str(old)) as server:
        old.write_bytes(new.read_bytes())
        assert "country = DE" in server.get("/mirrorlist?repo=r&ip=192.0.2.1").text
        server.send_sighup()
        server.wait_for_log("reloaded")
        assert "country = FR" in server.get("/mirrorlist?repo=r&ip=192.0.2.1").text


@pytest.mark.parametrize("header", [b"1.2.3.4", b"[2001:db8::1]", b"\xff\xfe", b"evil, 1.2.3.4", b"," * 5000, b""])
def test_defect_3_nobody_chooses_their_own_address(header: bytes) -> None:
    """From a stranger every header is ignored; from a proxy the right-most untrusted entry counts; nothing crashes."""
    nobody = Trust.parse([])
    assert client_address(DE, [header], nobody).address == at(DE)
    proxy = Trust.parse(["192.0.2.0/24"])
    forged = client_address("192.0.2.1", [b"203.0.113.9, " + header, b"198.51.100.1, 192.0.2.7"], proxy)
    assert forged.address == at(DE)


def test_defect_4_as_number_0_is_no_network() -> None:
    """A mirror without an AS number and a client without one have nothing in common."""
    source = network({"plain": mirror("JP"), "near": mirror("DE")})
    assert hosts(ask(decider(source, places={DE: ("DE", "EU", 0)}), "repo=r", DE)) == ["near", "plain"]
    private = network({"hidden": mirror("DE", private=True, asns=[64500]), "public": mirror("DE")})
    assert hosts(ask(decider(private, places={DE: ("DE", "EU", 0)}), "repo=r", DE)) == ["public"]


def test_defect_5_mirror_number_0_counts() -> None:
    """The first mirror of the table is as good as any, in every tier."""
    first = "a-first"  # names are sorted: number 0
    in_every_tier = [
        mirror("DE", netblocks=["198.51.100.1/32"]),
        mirror("JP", asns=[680]),
        mirror("DE"),
        mirror("PL"),
        mirror("JP"),
        mirror("JP", fallback=True),
    ]
    for fields in in_every_tier:
        world = decider(network({first: fields}))
        assert world.index.snapshot.mirrors[0].name == first
        assert hosts(ask(world, "repo=r", DE)) == [first], fields


@pytest.mark.parametrize("client", [DE, FR, US, JP, NOWHERE])
def test_defect_6_country_rules_hold_in_every_tier(client: str) -> None:
    """A mirror for Germany only is never given to anybody else, as country, continent, world, AS or by `country=`."""
    source = network(
        {"only-de": mirror("FR", allowed_countries=["DE"], asns=[7018]), "any": mirror("JP", denied_countries=["JP"])}
    )
    for query in ("repo=r", "repo=r&country=FR", "repo=r&country=global", "repo=r&netblock=0"):
        reply = ask(decider(source), query, client)
        served = hosts(reply) if reply.status == 200 else []
        assert ("only-de" in served) <= (client == DE), query
        assert ("any" in served) <= (client != JP), query


def test_defect_6_private_mirrors_do_not_leak_to_the_neighbours() -> None:
    """Two clients of one /24, one of them in the mirror's /32: what one was given is not given to the other."""
    source = network({"private": mirror("DE", private=True, netblocks=["198.51.100.1/32"]), "public": mirror("DE")})
    world = decider(source, places={DE: ("DE", "EU", 0), "198.51.100.8": ("DE", "EU", 0)})
    for _ in range(3):
        assert hosts(ask(world, "repo=r", DE)) == ["private", "public"]
        assert hosts(ask(world, "repo=r", "198.51.100.8")) == ["public"]


def test_defect_7_protocols() -> None:
    """Nobody offers it: 404 and a reason, no empty 200. https is preferred. A value keeps its second `=`."""
    both = {"c": ["http://a/c/", "https://a/c/", "rsync://a/c/"]}
    world = decider(network({"a": mirror("DE", categories=both)}))
    missing = ask(world, "repo=r&protocol=ftp", DE)
    assert (missing.status, missing.body) == (404, b"no mirror offers this by the protocols asked for\n")
    assert urls(ask(world, "repo=r", DE)) == ["https://a/c/"]
    assert urls(ask(world, "repo=r&protocol=http", DE)) == ["http://a/c/"]
    assert urls(ask(world, "repo=r&protocol=rsync,http,https", DE)) == ["https://a/c/", "http://a/c/", "rsync://a/c/"]
    assert urls(ask(world, "path=c/x=y=z/", DE)) == ["https://a/c/x=y=z/"]


def test_defect_8_only_mirrors_that_carry_the_content_count() -> None:
    """Near mirrors without the content do not keep far ones, which have it, out of the list."""
    near = {f"near{number}": mirror("DE", categories={"other": f"https://near{number}/"}) for number in range(9)}
    source = network({**near, "far": mirror("JP")}, categories={"c": {}, "other": {}})
    assert hosts(ask(decider(source), "repo=r", DE)) == ["far"]


def test_defect_9_country_global_and_lower_case() -> None:
    """`country=global` is the whole world and `country=de` is Germany."""
    world = decider(network({"de": mirror("DE"), "jp": mirror("JP"), "us": mirror("US")}))
    assert set(hosts(ask(world, "repo=r&country=global", DE))) == {"de", "jp", "us"}
    assert set(hosts(ask(world, "repo=r&country=GLOBAL", DE))) == {"de", "jp", "us"}
    assert hosts(ask(world, "repo=r&country=de", JP)) == ["de"]


@pytest.mark.parametrize("asked", ["99.995", "9.40", "9.", "9", "9.4 ", "9.4%00", "09.4"])
def test_defect_10_names_match_whole_or_not_at_all(asked: str) -> None:
    """Version 99.995 is not 9.4 because both begin with a 9: an unknown name is a 404, with that status."""
    source = network({"a": mirror("DE")}, repositories={"9.4": {"category": "c", "path": "9.4"}})
    world = decider(source)
    assert ask(world, "repo=9.4", DE).status == 200
    assert ask(world, f"repo={asked}", DE).status == 404


def test_defect_10_categories_match_whole_path_segments() -> None:
    """`debian-security/` is not below `debian`."""
    assert ask(decider(network({"a": mirror("DE")})), "path=c-security/dists/", DE).status == 404


def test_defect_11_one_bad_row_is_reported_with_all_others(tmp_path: Path) -> None:
    """A bad netblock does not end the reading of the table: every other mistake is named in the same run."""
    from mirrorlist_snapshot.errors import SourceError  # noqa: PLC0415 - only here
    from mirrorlist_snapshot.source import read_sources  # noqa: PLC0415 - only here

    source = tmp_path / "mirrors.toml"
    source.write_text(
        '[categories.c]\n[repositories.r]\ncategory = "c"\n[mirrors.a]\ncountry = "QQ"\n'
        'netblocks = ["300.0.0.0/8", "198.51.100.0/24", "10.0.0.1/8"]\n[mirrors.a.categories]\nc = "https://a/c/"\n'
    )
    with pytest.raises(SourceError) as refused:
        read_sources([source])
    told = "\n".join(map(str, refused.value.complaints))
    for word in ("QQ", "300.0.0.0/8", "10.0.0.1/8"):
        assert word in told
    assert "198.51.100.0/24" not in told


def test_defect_12_no_url_can_break_out_of_its_line() -> None:
    """A path full of markup, quotes and line ends is percent-encoded, escaped or refused, in text, JSON and XML."""
    world = decider(network({"a": mirror("DE")}))
    reply = ask(world, "path=c/%3Cx%20%22%26%3E/", DE)
    assert urls(reply) == ["https://a/c/%3Cx%20%22&%3E/"]
    assert ask(world, "path=c/%0Ax/", DE).status == 400
    assert b'"https://a/c/%3Cx%20%22&%3E/"' in ask(world, "path=c/%3Cx%20%22%26%3E/&format=json", DE).body
    for shape in ("metalink", "metalink4"):
        body = ask(world, f"path=c/%3Cx%20%22%26%3E&format={shape}", DE).body
        assert b">https://a/c/%3Cx%20%22&amp;%3E</url>" in body
        names = [one.get("name") for one in fromstring(body).iter() if one.tag.endswith("}file")]
        assert names == ['<x "&>']


def test_defect_12_no_doubled_repodata() -> None:
    """A repository whose directory ends in what is asked for is not asked for twice: `repodata/repomd.xml`, once."""
    details = {"path": "repodata/repomd.xml", "timestamp": 1, "size": 1, "sha256": "0" * 64}
    repositories = {"r": {"category": "c", "path": "9/os", "files": [details]}}
    body = ask(decider(network({"a": mirror("DE")}, repositories=repositories)), "repo=r&format=metalink", DE).body
    assert b">https://a/c/9/os/repodata/repomd.xml</url>" in body


def test_defect_13_public_json_is_about_repositories_only() -> None:
    """What everybody can read names no mirror's people, networks or private mirrors: nothing but these keys."""
    source = network({"a": mirror("DE"), "p": mirror("DE", private=True, netblocks=["192.0.2.0/24"])})
    rows = repositories(decider(source).index.snapshot)
    assert {key for row in rows for key in row} == {"repo", "arches", "aliases", "disabled"}


def test_defect_14_two_instances_agree() -> None:
    """The same sources in another order: the same comment line and the same mirrors, tier by tier."""
    fields = {f"m{number}": mirror(country) for number, country in enumerate(["DE", "FR", "PL", "US", "JP"])}
    one = decider(network(fields))
    other = decider(network(dict(reversed(fields.items()))))
    for client in (DE, FR, US, JP, NOWHERE):
        for query in ("repo=r", "repo=r&country=FR,DE"):
            ours, theirs = ask(one, query, client, seed=4), ask(other, query, client, seed=4)
            assert ours == theirs


@pytest.mark.slow
def test_defect_15_nothing_is_unpickled() -> None:
    """No module of ours imports a reader that can run code: pickle, marshal, shelve, yaml's full loader.

    Except `workers.messages`: a supervisor and the workers that it forked, over sockets that no other process has.
    """
    ours = {*ROOT.glob("mirrorlistd/**/*.py"), *ROOT.glob("snapshot/mirrorlist_*/**/*.py")}
    assert len(ours) > 60
    for path in ours - {ROOT / "mirrorlistd" / "workers" / "messages.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "dill", "yaml"} & {name.split(".")[0] for name in names}, path
