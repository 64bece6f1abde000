"""Check-in at the counter: what reports change, and which lies are found out. A real store, the clock given."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_admin.checkin.acceptance import sample_size
from mirrorlist_admin.checkin.counter import authenticate, hand_out, note_use, receive
from mirrorlist_admin.checkin.report_form import Refusal, Report
from mirrorlist_admin.checkin.settling import Settled, reported_down, reported_limits, settle
from mirrorlist_admin.checkin.tokens import identifier, new_token
from mirrorlist_admin.store import schema
from support.observed_networks import DAY, NOW, Network, content, observed_network, sha

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC, PRIVATE, OTHER = "ftp.example.de", "mirror.example.edu", "mirror.example.fr"


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Two public mirrors with the previous version, and a private one that was never seen."""
    made = observed_network(tmp_path)
    made.add_mirror(PUBLIC)
    made.add_mirror(OTHER)
    made.add_mirror(PRIVATE, private=True)
    return made


def check_in(
    network: Network,
    mirror: str,
    files: dict[str, Any] | None,
    now: int = NOW,
    *,
    version: int = 2,
    **said: Any,
) -> dict[str, Any]:
    """Check in as `mirrorlist-report` does, from a disk whose files have a version; return the answer."""
    with network.store() as store, store.transaction():
        task = hand_out(store, mirror, Random(now))
        body: dict[str, Any] = {"form": 1, "serial": task["serial"] + 1, "time": now}
        if files is not None:
            body["units"] = {network.category: files}
            challenge = task["challenge"]
            if challenge and files.get(challenge["unit"]):
                body["proof"] = {"nonce": challenge["nonce"], "hmac": answer(challenge, version)}
        declared = store.read(schema.DECLARED_MIRROR, "WHERE mirror = ?", mirror)[0]
        return receive(store, declared, Report.model_validate(body | said), now, Random(now))


def answer(challenge: dict[str, Any], version: int) -> str:
    """The HMAC over the bytes of the file that a mirror with a version has."""
    part = content(challenge["unit"], version)[challenge["offset"] :][: challenge["length"]]
    return hmac.new(challenge["nonce"].encode(), part, hashlib.sha256).hexdigest()


def settled(network: Network, now: int) -> Settled:
    """What the prober gets."""
    with network.store() as store, store.transaction():
        return settle(store, now)


def due(network: Network, mirror: str) -> dict[str, str]:
    """What the prober is asked to fetch: unit -> reason."""
    with network.store() as store:
        return {row.unit: row.reason for row in store.read(schema.DUE, "WHERE mirror = ?", mirror)}


def events(network: Network) -> list[str]:
    """The last states of all events."""
    with network.store() as store:
        return [event.after for event in store.read(schema.EVENT)]


def look(network: Network, mirror: str, version: int, at: int) -> list[str]:
    """Let the prober fetch what is due, from a mirror that has a version; return the units."""
    units = sorted(due(network, mirror))
    network.see(mirror, units, version, at)
    with network.store() as store:
        store.remove(schema.DUE, [(mirror, network.category, unit) for unit in units])
    return units


def test_the_sample_is_as_large_as_the_design_says() -> None:
    """min(n, 5 + ceil(log2 n)) units are looked at."""
    assert [sample_size(n) for n in (0, 1, 5, 6, 8, 9, 150, 6000)] == [0, 1, 5, 6, 8, 9, 13, 18]


def test_an_honest_report_makes_all_units_count_after_the_samples(tmp_path: Path) -> None:
    """Of 150 changed units 13 are fetched; when all are right the other 137 count, and an event says so."""
    network = observed_network(tmp_path, 150)
    network.add_mirror(PUBLIC)
    message = check_in(network, PUBLIC, network.files(2))["message"]
    assert message == "150 changed units; 13 to be looked at within a minute"
    assert settled(network, NOW + 1).words == ()
    looked = look(network, PUBLIC, 2, NOW + 5)
    assert len(looked) == 13
    words = settled(network, NOW + 6).words
    assert {word.unit for word in words} == set(network.units) - set(looked)
    assert {(word.sha256 == sha(word.unit, 2), word.at) for word in words} == {(True, NOW)}
    assert events(network) == ["counts"]
    assert settled(network, NOW + 7).words == ()


def test_a_report_of_what_is_known_changes_nothing(network: Network) -> None:
    """A report that says what the prober has seen is taken, asks for no fetch, and stores no claim."""
    answered = check_in(network, PUBLIC, network.files(1), version=1)
    assert answered["message"] == "nothing is newer than what was seen"
    assert due(network, PUBLIC) == {}
    assert settled(network, NOW + 1) == Settled(words=(), silent=frozenset())


def test_a_report_for_a_version_that_the_mirror_does_not_have_is_found_out(network: Network) -> None:
    """A wrong sample: nothing counts, all units are fetched, reports do not raise for a day, an event says why."""
    check_in(network, PUBLIC, network.files(2))
    look(network, PUBLIC, 1, NOW + 5)
    assert settled(network, NOW + 6).words == ()
    assert due(network, PUBLIC) == dict.fromkeys(network.units, "sweep")
    assert events(network) == ["wrong"]
    later = check_in(network, PUBLIC, network.files(2), NOW + DAY - 60)
    assert later["message"].startswith("a report was wrong")
    assert settled(network, NOW + DAY - 50).words == ()
    assert "to be looked at" in check_in(network, PUBLIC, network.files(2), NOW + DAY + 60)["message"]


@pytest.mark.parametrize("seed", range(20))
def test_a_lie_about_a_fifth_of_the_units_is_found_by_the_samples_or_the_next_look(tmp_path: Path, seed: int) -> None:
    """With 30 of 150 claims wrong the samples find one in 19 of 20 reports, the ordinary rounds in all."""
    network = observed_network(tmp_path, 150)
    network.add_mirror(PUBLIC)
    lies = set(Random(seed).sample(network.units, 30))
    check_in(network, PUBLIC, network.files(2), NOW + seed)
    network.see(PUBLIC, set(due(network, PUBLIC)) - lies, 2, NOW + 60)
    network.see(PUBLIC, set(due(network, PUBLIC)) & lies, 1, NOW + 60)
    settled(network, NOW + 61)
    if "wrong" not in events(network):
        network.see(PUBLIC, sorted(lies)[:2], 1, NOW + 300)
        settled(network, NOW + 301)
    assert events(network)[-1] == "wrong"


def test_one_lie_of_150_is_found_at_the_latest_when_the_prober_comes_by(tmp_path: Path) -> None:
    """A single wrong claim that no sample met is found by the prober's ordinary round."""
    network = observed_network(tmp_path, 150)
    network.add_mirror(PUBLIC)
    check_in(network, PUBLIC, network.files(2))
    lie = min(set(network.units) - set(due(network, PUBLIC)))
    look(network, PUBLIC, 2, NOW + 5)
    assert lie in {word.unit for word in settled(network, NOW + 6).words}
    network.see(PUBLIC, [lie], 1, NOW + 3600)
    settled(network, NOW + 3601)
    assert events(network) == ["counts", "wrong"]
    assert len(due(network, PUBLIC)) == 150


def test_one_new_claim_among_150_known_ones_is_always_looked_at(tmp_path: Path) -> None:
    """Samples are drawn among what is new, so a lie cannot hide behind units that have not changed."""
    network = observed_network(tmp_path, 150)
    network.add_mirror(PUBLIC)
    lie = network.units[77]
    check_in(network, PUBLIC, network.files(1) | network.files(2, [lie]), version=1)
    assert due(network, PUBLIC) == {lie: "report"}


def test_a_mirror_that_moved_on_is_not_a_liar(network: Network) -> None:
    """A unit with a version that is later than the claimed one, or ahead of the master, does not count as wrong."""
    network.see(PUBLIC, network.units, 0, NOW - 2 * DAY)
    check_in(network, PUBLIC, network.files(1), version=1)
    network.see(PUBLIC, network.units[:3], 2, NOW + 5)
    network.see(PUBLIC, network.units[3:], 7, NOW + 5)
    settled(network, NOW + 6)
    assert events(network) == ["counts"]


def test_one_404_is_not_yet_a_lie(network: Network) -> None:
    """A sample that is absent once stays open; absent twice it is wrong."""
    check_in(network, PUBLIC, network.files(2))
    network.see(PUBLIC, network.units, 2, NOW + 5, absent=1)
    settled(network, NOW + 6)
    assert events(network) == []
    network.see(PUBLIC, network.units, 2, NOW + 25, absent=2)
    settled(network, NOW + 26)
    assert events(network) == ["wrong"]


def test_a_report_may_always_lower(network: Network) -> None:
    """Units that are missing or older than what was seen count at once, also while reports do not count."""
    network.see(PUBLIC, network.units, 2, NOW - 60)
    files = network.files(2) | {network.units[0]: None} | network.files(1, [network.units[1]])
    answered = check_in(network, PUBLIC, files)
    assert answered["message"] == "nothing is newer than what was seen; older or missing: 2 units"
    words = {word.unit: word.sha256 for word in settled(network, NOW + 1).words}
    assert words == {network.units[0]: "", network.units[1]: sha(network.units[1], 1)}
    assert due(network, PUBLIC) == {}


def test_a_private_mirror_is_believed(network: Network) -> None:
    """Nobody can probe a private mirror: with a proof its word counts at once."""
    assert check_in(network, PRIVATE, network.files(2))["message"] == "6 changed units"
    words = settled(network, NOW + 1).words
    assert {(word.mirror, word.unit, word.sha256) for word in words} == {
        (PRIVATE, unit, sha(unit, 2)) for unit in network.units
    }
    assert due(network, PRIVATE) == {}


def test_each_word_of_a_private_mirror_counts_also_if_nothing_has_changed(network: Network) -> None:
    """Its old version gets older while nobody looks, so every report is judged; missing and back again, too."""
    check_in(network, PRIVATE, network.files(1), version=1)
    network.see(PRIVATE, network.units, 1, NOW)  # as the prober stores the words
    assert len(settled(network, NOW + 1).words) == 6
    assert check_in(network, PRIVATE, network.files(1), NOW + DAY, version=1)["message"].startswith("nothing is newer")
    assert {word.at for word in settled(network, NOW + DAY + 1).words} == {NOW + DAY}
    network.see(PRIVATE, network.units[:1], 1, NOW + DAY, absent=2)
    answered = check_in(network, PRIVATE, network.files(1), NOW + 2 * DAY, version=1)
    assert answered["message"] == "1 changed unit"


def test_a_private_mirror_without_a_proof_is_not_believed(network: Network) -> None:
    """If it says that it lacks the file that was asked for, only that counts, and nothing that is newer."""
    with network.store() as store:
        unit = hand_out(store, PRIVATE, Random(NOW))["challenge"]["unit"]
    answered = check_in(network, PRIVATE, network.files(2) | {unit: None})
    assert answered["message"].startswith("the proof could not be checked")
    assert [(word.unit, word.sha256) for word in settled(network, NOW + 1).words] == [(unit, "")]


def test_a_private_mirror_that_is_ahead_of_our_watcher_counts_as_soon_as_we_see_the_version(network: Network) -> None:
    """It has synchronised before we have looked at the master: its answer is checked when the version is known."""
    answered = check_in(network, PRIVATE, network.files(5), version=5)
    assert answered["message"] == "6 changed units, to count when this network has seen the new version itself"
    assert settled(network, NOW + 1).words == ()
    assert events(network) == []
    know(network, 5)
    assert {word.sha256 for word in settled(network, NOW + 300).words} == {sha(unit, 5) for unit in network.units}
    assert events(network) == ["counts"]
    assert settled(network, NOW + 301).words == ()


def test_a_private_mirror_that_only_knows_a_hash_is_found_out_when_the_version_is_known(network: Network) -> None:
    """The answer over other bytes is wrong: nothing counts, and an event says so."""
    check_in(network, PRIVATE, network.files(5), version=1)
    know(network, 5)
    assert settled(network, NOW + 300).words == ()
    assert events(network) == ["wrong"]
    with network.store() as store:
        assert store.read(schema.CLAIM) == []


def know(network: Network, version: int) -> None:
    """Let the prober have seen a version of everything on the master."""
    with network.store() as store:
        for row in store.read(schema.UNIT_START):
            made = replace(row, sha256=sha(row.unit, version), data=content(row.unit, version))
            store.write(schema.UNIT_START, [made])


def test_the_word_of_a_private_mirror_expires_after_twice_its_usual_interval(network: Network) -> None:
    """With reports every 6 hours it is silent after 12: nothing more is concluded, and one event says so."""
    for number in range(4):
        check_in(network, PRIVATE, network.files(2), NOW + number * 6 * 3600)
    last = NOW + 18 * 3600
    assert settled(network, last + 12 * 3600).silent == frozenset()
    for later in (1, 300):
        assert settled(network, last + 12 * 3600 + later).silent == {PRIVATE}
    assert events(network).count("silent") == 1
    check_in(network, PRIVATE, network.files(2), last + DAY)
    assert settled(network, last + DAY).silent == frozenset()


def test_maintenance_counts_at_once_and_ends_by_itself(network: Network) -> None:
    """`--down-until` takes the mirror out until then; `--up` ends it; both are events."""
    check_in(network, PUBLIC, None, down_until=NOW + 3600, reason="new\ndisks")
    with network.store() as store:
        assert reported_down(store, NOW + 1) == {PUBLIC: (NOW + 3600, "new disks")}
        assert reported_down(store, NOW + 3600) == {}
    check_in(network, PUBLIC, None, NOW + 60, down_until=0)
    with network.store() as store:
        assert reported_down(store, NOW + 61) == {}
    assert events(network) == ["down until 2026-11-29 11:00:00 UTC", "up"]
    with pytest.raises(Refusal, match="30 days"):
        check_in(network, PUBLIC, None, NOW + 90, down_until=NOW + 40 * DAY)
    check_in(network, PUBLIC, None, NOW + 120, down_until=NOW + 3600)
    for later in (3599, 3700, 3800):
        settled(network, NOW + later)
    with network.store() as store:
        assert [(event.at, event.after) for event in store.read(schema.EVENT)][2:] == [
            (NOW + 120, "down until 2026-11-29 11:00:00 UTC"),
            (NOW + 3600, "up"),
        ]


def test_a_limit_counts_only_downwards(network: Network) -> None:
    """A mirror may say that it can give less than the sources state, not more; traffic is the growth of its counter."""
    check_in(network, PUBLIC, network.files(1), version=1, limit=200, sent=1_000_000)
    check_in(network, OTHER, network.files(1), version=1, limit=5000)
    check_in(network, PUBLIC, network.files(1), NOW + 100, version=1, limit=200, sent=3_000_000)
    with network.store() as store:
        assert reported_limits(store, NOW + 101) == {PUBLIC: 200}
        assert reported_limits(store, NOW + 10 * DAY) == {}
        row = store.read(schema.CHECK_IN, "WHERE mirror = ?", PUBLIC)[0]
    assert row.traffic == 20_000
    assert row.syncing == 0


def test_a_synchronisation_is_noted_and_ends_with_the_next_report(network: Network) -> None:
    """`--syncing` is shown as long as no report of content follows."""
    check_in(network, PUBLIC, None, syncing=True)
    with network.store() as store:
        assert store.read(schema.CHECK_IN)[0].syncing == NOW
    check_in(network, PUBLIC, network.files(1), NOW + 60, version=1)
    with network.store() as store:
        assert store.read(schema.CHECK_IN)[0].syncing == 0


def test_a_replayed_report_is_refused(network: Network) -> None:
    """The same serial again is refused; so is an old nonce under a new serial."""
    with network.store() as store, store.transaction():
        task = hand_out(store, PUBLIC, Random(1))
        declared = store.read(schema.DECLARED_MIRROR, "WHERE mirror = ?", PUBLIC)[0]
        proof = {"nonce": task["challenge"]["nonce"], "hmac": answer(task["challenge"], 2)}
        body = {"form": 1, "serial": 5, "time": NOW, "units": {"epel": network.files(2)}, "proof": proof}
        receive(store, declared, Report.model_validate(body), NOW, Random(1))
        with pytest.raises(Refusal, match="the serial 5 is not above 5") as refused:
            receive(store, declared, Report.model_validate(body), NOW + 1, Random(1))
        assert refused.value.status == 409
        with pytest.raises(Refusal, match="the nonce is not the one that was given"):
            receive(store, declared, Report.model_validate(body | {"serial": 6}), NOW + 1, Random(1))


@pytest.mark.parametrize("mirror", [PUBLIC, PRIVATE])
def test_knowing_the_hash_is_not_having_the_file(network: Network, mirror: str) -> None:
    """A report whose proof is over other bytes, or that has none, is refused as a whole."""
    with pytest.raises(Refusal, match="does not fit"):
        check_in(network, mirror, network.files(2), version=1)
    with pytest.raises(Refusal, match="is missing"):
        check_in(network, mirror, network.files(2), proof=None)
    assert settled(network, NOW + 1).words == ()


def test_the_challenge_stays_until_it_is_answered(network: Network) -> None:
    """Asking again gives the same challenge, so a second process does not spoil the first one's report."""
    with network.store() as store:
        first = hand_out(store, PUBLIC, Random(1))
        assert hand_out(store, PUBLIC, Random(2)) == first
    answered = check_in(network, PUBLIC, network.files(2))
    assert answered["challenge"]["nonce"] != first["challenge"]["nonce"]


def test_a_token_speaks_for_its_mirror_alone(network: Network) -> None:
    """The mirror follows from the token; no report can name another one. Unknown, expired and gone ones are refused."""
    token, row = new_token(PUBLIC, NOW, NOW + DAY)
    gone, gone_row = new_token("gone.example", NOW, 0)
    with network.store() as store:
        store.write(schema.TOKEN, [row, gone_row])
        found, mirror = authenticate(store, f"Bearer {token}", NOW)
        assert (found, mirror.mirror) == (row, PUBLIC)
        note_use(store, found, NOW)
        assert store.read(schema.TOKEN, "WHERE digest = ?", row.digest)[0].used == NOW - NOW % 3600
        wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
        refusals = {
            "": 401,
            "Bearer": 401,
            f"Basic {token}": 401,
            f"Bearer {wrong}": 401,
            f"Bearer {token} {token}": 401,
            f"Bearer {row.digest}": 401,
            f"Bearer {gone}": 403,
        }
        for header, status in refusals.items():
            with pytest.raises(Refusal) as refused:
                authenticate(store, header, NOW)
            assert refused.value.status == status, header
        with pytest.raises(Refusal, match="has expired"):
            authenticate(store, f"bearer {token}", NOW + DAY)
    with pytest.raises(ValueError, match="mirror"):
        Report.model_validate({"form": 1, "serial": 1, "time": NOW, "syncing": True, "mirror": OTHER})


def test_the_token_itself_is_nowhere_in_the_file(network: Network) -> None:
    """The store holds a hash; a token has a prefix that scanners know, and 256 bits."""
    token, row = new_token(PUBLIC, NOW, 0)
    with network.store() as store:
        store.write(schema.TOKEN, [row])
        assert identifier(row) in {identifier(kept) for kept in store.read(schema.TOKEN)}
    assert token.startswith("mlr_")
    assert len(token) == 4 + 43
    for file in network.folder.iterdir():
        assert token[4:].encode() not in file.read_bytes()
