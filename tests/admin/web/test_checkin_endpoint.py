"""`/checkin` over ASGI: tokens, bodies, limits, and what it answers to strangers."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from mirrorlist_admin.checkin.tokens import new_token
from mirrorlist_admin.store import schema
from mirrorlist_admin.web.app import create_app
from mirrorlist_admin.web.checkin_endpoint import FAILURES_OF_AN_ADDRESS, REQUESTS_OF_A_TOKEN
from support.observed_networks import NOW, Network, content, observed_network, sha

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUBLIC, OTHER = "ftp.example.de", "mirror.example.fr"


class Clock:
    """A clock that stands still until it is moved."""

    now = float(NOW)

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Two mirrors with the previous version."""
    made = observed_network(tmp_path)
    made.add_mirror(PUBLIC)
    made.add_mirror(OTHER)
    return made


@pytest.fixture
def clock() -> Clock:
    """The endpoint's clock."""
    return Clock()


@pytest.fixture
def client(network: Network, clock: Clock) -> Iterator[TestClient]:
    """A client at one address."""
    with TestClient(create_app(network.folder, clock), client=("192.0.2.1", 5)) as made:
        yield made


def authorization(network: Network, mirror: str = PUBLIC, expires: int = 0) -> dict[str, str]:
    """A header with a new token."""
    token, row = new_token(mirror, NOW, expires)
    with network.store() as store:
        store.write(schema.TOKEN, [row])
    return {"authorization": f"Bearer {token}"}


def report(task: dict[str, Any], files: dict[str, Any], version: int = 2) -> dict[str, Any]:
    """What a mirror with a version sends."""
    body = {"form": 1, "serial": task["serial"] + 1, "time": NOW, "units": {"epel": files}}
    challenge = task["challenge"]
    part = content(challenge["unit"], version)[challenge["offset"] :][: challenge["length"]]
    digest = hmac.new(challenge["nonce"].encode(), part, hashlib.sha256).hexdigest()
    return body | {"proof": {"nonce": challenge["nonce"], "hmac": digest}}


def test_a_mirror_gets_its_task_and_reports(network: Network, client: TestClient) -> None:
    """The task names the index files; the report is accepted with 202, compressed, and its samples become due."""
    headers = authorization(network)
    task = client.get("/checkin", headers=headers)
    assert task.status_code == 200
    assert task.json()["units"] == {"epel": list(network.units)}
    assert task.headers["cache-control"] == "no-store"
    body = gzip.compress(json.dumps(report(task.json(), network.files(2))).encode())
    sent = {"content-type": "application/json", "content-encoding": "gzip"} | headers
    answer = client.post("/checkin", content=body, headers=sent)
    assert answer.status_code == 202
    assert answer.json()["message"] == "6 changed units; 6 to be looked at within a minute"
    assert answer.json()["challenge"]["nonce"] != task.json()["challenge"]["nonce"]
    with network.store() as store:
        assert len(store.read(schema.DUE)) == 6
    again = client.post("/checkin", content=body, headers=sent)
    assert (again.status_code, "an old report" in again.json()["error"]) == (409, True)


def test_another_mirrors_token_reports_for_that_mirror_alone(network: Network, client: TestClient) -> None:
    """With the token of another mirror a report claims that the other one has the files, which the samples find out."""
    headers = authorization(network, OTHER)
    task = client.get("/checkin", headers=headers).json()
    assert task["mirror"] == OTHER
    assert client.post("/checkin", json=report(task, network.files(2)), headers=headers).status_code == 202
    with network.store() as store:
        assert {claim.mirror for claim in store.read(schema.CLAIM)} == {OTHER}
        assert {claim.sha256 for claim in store.read(schema.CLAIM)} == {sha(unit, 2) for unit in network.units}


@pytest.mark.parametrize("header", ["", "Bearer x", "Bearer mlr_" + "a" * 43, "Basic YTpi", "Bearer \xff"])
def test_a_stranger_gets_401_and_nothing_else(client: TestClient, header: str) -> None:
    """Whatever the method and the body, the answer is a JSON error with WWW-Authenticate."""
    for method in ("GET", "POST"):
        answer = client.request(method, "/checkin", headers={b"authorization": header.encode("latin-1")}, content=b"x")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json()) == {"error"}


def test_a_body_is_counted_as_it_arrives(network: Network, client: TestClient) -> None:
    """More than 1 MiB is refused with 413, without a Content-Length too, and a bomb when it is inflated."""
    sent = authorization(network) | {"content-type": "application/json"}
    assert client.post("/checkin", content=bytes(1 << 21), headers=sent).status_code == 413
    assert client.post("/checkin", content=iter([bytes(1 << 20), b"x"]), headers=sent).status_code == 413
    bomb = gzip.compress(bytes(8 << 20))
    assert client.post("/checkin", content=bomb, headers=sent | {"content-encoding": "gzip"}).status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (pickle.dumps({"form": 1}), "application/json", 400),
        (pickle.dumps({"form": 1}), "application/octet-stream", 415),
        (b"form=1", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 400),
        (b'{"form": 1}', "application/json", 400),
    ],
)
def test_what_is_no_report_is_refused(
    network: Network, client: TestClient, body: bytes, kind: str, status: int
) -> None:
    """Pickles, forms and half reports change nothing."""
    answer = client.post("/checkin", content=body, headers=authorization(network) | {"content-type": kind})
    assert answer.status_code == status
    with network.store() as store:
        assert store.read(schema.CHECK_IN) == []


def test_a_token_has_a_rate(network: Network, client: TestClient, clock: Clock) -> None:
    """After the burst the answer is 429 with the seconds to wait; after these it is good again."""
    headers = authorization(network)
    burst, _ = REQUESTS_OF_A_TOKEN
    assert {client.get("/checkin", headers=headers).status_code for _ in range(burst)} == {200}
    refused = client.get("/checkin", headers=headers)
    assert refused.status_code == 429
    assert client.get("/checkin", headers=authorization(network, OTHER)).status_code == 200
    clock.now += int(refused.headers["retry-after"])
    assert client.get("/checkin", headers=headers).status_code == 200


def test_guessing_is_slowed_down(network: Network, client: TestClient, clock: Clock) -> None:
    """After 20 wrong tokens an address is refused for a while, its right token as well; other addresses are not."""
    headers = authorization(network)
    for number in range(FAILURES_OF_AN_ADDRESS[0]):
        wrong = {"authorization": f"Bearer mlr_{number:043}"}
        assert client.get("/checkin", headers=wrong).status_code == 401
    assert client.get("/checkin", headers=headers).status_code == 429
    other = TestClient(client.app, client=("192.0.2.2", 5))
    assert other.get("/checkin", headers=headers).status_code == 200
    clock.now += FAILURES_OF_AN_ADDRESS[1]
    assert client.get("/checkin", headers=headers).status_code == 200


def test_a_locked_store_is_503_and_not_the_mirrors_fault(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the file for long, mirrors are asked to come back."""
    headers = authorization(network)
    monkeypatch.setattr("mirrorlist_admin.store.database._PATIENCE", 0.01)
    with (
        TestClient(create_app(network.folder, Clock()), client=("192.0.2.1", 5)) as hasty,
        network.store() as holder,
        holder.transaction(),
    ):
        answer = hasty.get("/checkin", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
