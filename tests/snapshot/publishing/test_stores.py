"""Stores that are real: an S3 server and nginx. What they refuse, what they cannot, and what we make of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirrorlist_snapshot.errors import (
    LossError,
    NoObjectError,
    PublishedError,
    PublishError,
    StoreConflictError,
    StoreError,
)
from mirrorlist_snapshot.format import encode, header
from mirrorlist_snapshot.publishing import stores as module
from mirrorlist_snapshot.publishing.rules import PublicationRules, publish, rollback
from mirrorlist_snapshot.publishing.store_target import StoreTarget
from mirrorlist_snapshot.publishing.stores import StoredObject
from mirrorlistd.pull.attempt import Puller
from support.processes import eventually, stamped
from support.stores import BUCKET, GUIDE, KEY_ID, S3, SECRET_KEY, nginx_in
from support.worlds import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.process

COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]


def snapshot(serial: int, mirrors: int = 20) -> bytes:
    """A snapshot whose URLs carry its serial."""
    return encode(compiled(stamped(serial, mirrors), serial=serial))


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """One S3 server for all tests."""
    with S3(tmp_path_factory.mktemp("s3") / "s3") as running:
        yield running


@pytest.fixture
def target(s3: S3, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> StoreTarget:
    """A place of the test's own, where nothing is."""
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    return StoreTarget(StoredObject.at(f"s3://{BUCKET}/{request.node.name}/m.mls"))


def again(target: StoreTarget) -> StoreTarget:
    """The same place, as another publisher sees it."""
    return StoreTarget(StoredObject.at(target.name))


def serial(target: StoreTarget) -> int:
    """What servers would pull."""
    found = target.object.fetch()
    assert found
    return header(found.data).serial


def test_the_rules_of_files_hold(target: StoreTarget) -> None:
    """Older serials and large losses are refused, generations are kept and the oldest dropped, the way back works."""
    assert target.current() is None
    for number in (1, 2, 3, 4):
        done = publish(snapshot(number), target, PublicationRules(keep=2))
        assert (done.changed, done.replaced) == (True, number - 1 or None)
    assert target.generations() == [3, 2]
    assert target.generation(3) == snapshot(3)
    assert not publish(snapshot(4), target, PublicationRules()).changed
    with pytest.raises(PublishError, match="serial 3 is not more than 4"):
        publish(snapshot(3), target, PublicationRules())
    with pytest.raises(LossError, match="5 of 20 mirrors"):
        publish(snapshot(5, mirrors=15), target, PublicationRules())
    assert serial(target) == 4
    assert rollback(target, PublicationRules()).header.serial == 5
    assert header(snapshot(3)).digest == header(target.current() or b"").digest
    assert target.object.siblings()[0] == "m.mls"
    assert len(target.object.siblings()) == 1 + len(target.generations())


@pytest.mark.parametrize("begun", [False, True])
def test_who_judged_what_is_no_longer_there_is_refused(target: StoreTarget, *, begun: bool) -> None:
    """Two publishers have judged the same moment: the slower one changes nothing, be it the first time or not."""
    if begun:
        publish(snapshot(1), target, PublicationRules())
    slower = again(target)
    assert slower.current() == target.current()
    target.replace(snapshot(3), 1 if begun else None, 5)
    with pytest.raises(PublishError, match="another writer has replaced it since it was read"):
        slower.replace(snapshot(2), 1 if begun else None, 5)
    assert target.current() == snapshot(3)


@pytest.mark.parametrize("step", ["put", "fetch", "siblings"])
def test_ctrl_c_once_the_object_is_written_says_so(
    target: StoreTarget, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The store's client notices it when the store has answered: the object is in place, and the error says so."""
    publish(snapshot(1), target, PublicationRules())
    target.current()
    monkeypatch.setattr(StoredObject, step, interrupted(getattr(StoredObject, step), last=step == "put"))
    with pytest.raises(PublishedError, match="was written, but the command was interrupted"):
        target.replace(snapshot(2), None, 0)
    monkeypatch.undo()
    assert serial(target) == 2


def test_ctrl_c_before_the_object_is_written_is_an_interrupt(
    target: StoreTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is in place that was not."""
    publish(snapshot(1), target, PublicationRules())
    target.current()
    monkeypatch.setattr(StoredObject, "put", interrupted(StoredObject.put, last=False))
    with pytest.raises(KeyboardInterrupt):
        target.replace(snapshot(2), None, 0)
    monkeypatch.undo()
    assert serial(target) == 1


def interrupted(step: Callable[..., Any], *, last: bool) -> Callable[..., Any]:
    """A step that ends by Ctrl-C, at once or after it is done; later calls are not."""
    calls: list[None] = []

    def run(*arguments: object) -> object:
        calls.append(None)
        if len(calls) > 1:
            return step(*arguments)
        if last:
            step(*arguments)
        raise KeyboardInterrupt

    return run


def test_of_publishers_that_race_one_wins(target: StoreTarget) -> None:
    """Four publish at once, ten times: whatever their order, the serial never goes back, and the others are refused."""
    for turn in range(1, 11):
        won: list[int] = []
        start = threading.Barrier(4)

        def run(number: int, won: list[int] = won, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                publish(snapshot(number), again(target), PublicationRules(keep=1))
            except PublishError:
                return
            won.append(number)

        threads = [threading.Thread(target=run, args=(10 * turn + one,)) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won, "somebody is always the fastest"
        assert serial(target) == max(won)


def test_a_lost_answer_is_no_refusal(target: StoreTarget) -> None:
    """A write that was done although its answer got lost is done: the second try finds its own object there."""
    publish(snapshot(1), target, PublicationRules())
    target.current()
    target.object.put(snapshot(2), target.object.fetch().version)  # type: ignore[union-attr]
    target.replace(snapshot(2), 1, 5)
    assert serial(target) == 2


def test_a_known_version_is_not_read_again(target: StoreTarget) -> None:
    """A question that names the version gets no bytes while it is there; one that is gone, or none at all, is told."""
    publish(snapshot(1), target, PublicationRules())
    found = target.object.fetch()
    assert found
    assert target.object.fetch(found.version) is None
    publish(snapshot(2), target, PublicationRules())
    assert target.object.fetch(found.version) != found
    with pytest.raises(StoreConflictError):
        target.object.put(b"", found.version)
    target.object.delete()
    with pytest.raises(NoObjectError):
        target.object.fetch()


def test_no_secret_is_ever_told(s3: S3, tmp_path: Path) -> None:
    """Refused credentials, an endpoint without TLS, a bucket that is not there: one line each, without the keys."""
    good = s3.environ
    cases = [
        (good | {"AWS_SECRET_ACCESS_KEY": SECRET_KEY[::-1]}, BUCKET, "403 Forbidden (SignatureDoesNotMatch)"),
        (good | {"AWS_ALLOW_HTTP": "no"}, BUCKET, "AWS_ALLOW_HTTP=true"),
        (good | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, BUCKET, "Connection refused"),
        (good, "none", "is not there"),
    ]
    for environ, bucket, message in cases:
        done = subprocess.run(
            [sys.executable, "-m", "mirrorlistd", "pull", f"s3://{bucket}/m.mls", str(tmp_path / "m.mls")],
            env=os.environ | environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert message in done.stderr
        assert not any(key in done.stderr for key in (KEY_ID, SECRET_KEY, SECRET_KEY[::-1]))


def test_the_commands_of_the_guide(s3: S3, tmp_path: Path) -> None:
    """Every command of docs/fleet.md does what it says, in its order, against an S3 server."""
    (tmp_path / "mirrors.toml").write_text(
        '[categories.c]\n[repositories.r]\ncategory = "c"\n[mirrors.m]\ncountry = "DE"\ncategories.c = "https://m.example/"\n'
    )
    environ = os.environ | s3.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert len(COMMANDS) == 6
    for command in COMMANDS:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
    assert "ok: settings, snapshot and databases are good" in done.stdout


def test_a_store_that_hangs_is_away(tmp_path: Path) -> None:
    """A store that accepts connections and never answers is given up, and said to be silent."""
    with nginx_in(tmp_path / "nginx") as nginx:
        nginx.pause()
        with pytest.raises(StoreError, match=r"timed out|TimedOut"):
            StoredObject.at(nginx.url("m.mls")).fetch()


def test_a_web_server_is_a_store(tmp_path: Path) -> None:
    """Nginx answers conditional questions by itself; where it takes PUT, it takes any, and keeps nothing."""
    with nginx_in(tmp_path / "nginx", "dav_methods PUT; client_max_body_size 100m;") as nginx:
        os.chmod(nginx.root, 0o777)  # noqa: PTH101, S103 - nginx works as nobody, if we are root
        target = StoreTarget(StoredObject.at(nginx.url("m.mls")))
        for number in (1, 2):
            assert publish(snapshot(number), target, PublicationRules()).header.serial == number
        assert target.generations() == []
        with pytest.raises(PublishError, match="serial 1 is not more than 2"):
            publish(snapshot(1), target, PublicationRules())
        found = target.object.fetch()
        assert found
        assert target.object.fetch(found.version) is None
        assert nginx.statuses()[-1] == 304
        assert os.listdir(nginx.root) == ["m.mls"]  # noqa: PTH208 - a list


def test_two_publications_within_a_second_are_both_seen(tmp_path: Path) -> None:
    """An ETag of nginx is a time in seconds and a size: it is not asked by until it can only mean one object."""
    with nginx_in(tmp_path / "nginx") as nginx:
        pull = Puller(StoredObject.at(nginx.url("m.mls")), tmp_path / "m.mls")
        for number in (1, 2, 3):
            (nginx.root / "m.mls").write_bytes(snapshot(number))
            os.utime(nginx.root / "m.mls", (1_800_000_000, 1_800_000_000))
            assert pull.pull().serial == number
        assert nginx.statuses() == [404, 200, 200, 200]
        eventually(lambda: not pull.pull().installed and nginx.statuses()[-1] == 304, "then it is asked by")


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    """An object larger than any snapshot is refused by the size that the store states."""
    with nginx_in(tmp_path / "nginx") as nginx:
        with (nginx.root / "m.mls").open("wb") as file:
            file.truncate(module.MAX_OBJECT_BYTES + 1)
        with pytest.raises(StoreError, match=f"more than the {module.MAX_OBJECT_BYTES} that a snapshot may have"):
            StoredObject.at(nginx.url("m.mls")).fetch()
