"""Pulling: what the store has, verified, never older; whatever fails leaves the file that is there."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlist_snapshot.errors import StoreError
from mirrorlist_snapshot.format import encode, header, reissue
from mirrorlist_snapshot.publishing.stores import StoredObject, is_url
from mirrorlist_snapshot.signing import SigningKey, TrustedKeys
from mirrorlistd.errors import PullError
from mirrorlistd.pull.attempt import Puller
from mirrorlistd.pull.attempt_report import RESULTS, AttemptReport
from mirrorlistd.pull.loop import attempts
from mirrorlistd.pull.pace import FIRST_RETRY, JITTER, LONGEST_RETRY, Pace
from support.processes import stamped, write_snapshot
from support.worlds import compiled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECRET = "hunter2"  # noqa: S105 - must not be seen again


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder as a store, with an object of serial 1."""
    (tmp_path / "store").mkdir()
    return write_snapshot(tmp_path / "store" / "m.mls", stamped(1))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The file to be kept as the store has it; not there yet."""
    return tmp_path / "pulled.mls"


def puller(store: Path, target: Path, trusted: TrustedKeys | None = None) -> Puller:
    """What pulls the one into the other."""
    return Puller(StoredObject.at(store.as_uri()), target, lambda: trusted)


def refused(pull: Puller) -> PullError:
    """The error of an attempt that must fail."""
    with pytest.raises(PullError) as caught:
        pull.pull()
    return caught.value


def test_what_is_new_is_installed_and_what_is_known_is_not_read_again(store: Path, target: Path) -> None:
    """The first attempt installs, the next ones find it unchanged, a new object is installed, bytes and all."""
    pull = puller(store, target)
    assert pull.pull().installed
    assert target.read_bytes() == store.read_bytes()
    assert not pull.pull().installed
    write_snapshot(store, stamped(2), serial=2)
    found = pull.pull()
    assert (found.installed, found.serial) == (True, 2)
    assert target.read_bytes() == store.read_bytes()


def test_a_restart_installs_nothing_that_is_there(store: Path, target: Path) -> None:
    """Another puller, which has asked for nothing yet, leaves a file alone that is what the store has."""
    puller(store, target).pull()
    before = target.stat()
    assert not puller(store, target).pull().installed
    assert target.stat() == before


@pytest.mark.parametrize("damage", [b"", b"no snapshot"])
def test_a_file_that_was_damaged_is_installed_again(damage: bytes, store: Path, target: Path) -> None:
    """Somebody overwrote or emptied the file: the same puller, which knows the object's version, mends it."""
    pull = puller(store, target)
    pull.pull()
    target.write_bytes(damage)
    assert pull.pull().installed
    assert target.read_bytes() == store.read_bytes()


def test_an_older_or_different_snapshot_of_the_same_serial_is_refused(store: Path, target: Path) -> None:
    """Whoever plays an old object again, or reuses a serial, changes nothing, and is told what to do."""
    old = store.read_bytes()
    write_snapshot(store, stamped(2), serial=2)
    pull = puller(store, target)
    pull.pull()
    good = target.read_bytes()
    for bad in (old, encode(compiled(stamped(9), serial=2))):
        store.write_bytes(bad)
        error = refused(pull)
        assert (error.kind, target.read_bytes()) == ("refused", good)
        assert "expected a serial above 2" in str(error)


def test_what_was_signed_again_is_taken(store: Path, target: Path) -> None:
    """The same content under the same serial, signed by now or by another key, replaces what was there."""
    pull = puller(store, target)
    pull.pull()
    store.write_bytes(reissue(store.read_bytes(), serial=1, signer=SigningKey.generate()))
    assert pull.pull().installed
    assert target.read_bytes() == store.read_bytes()


@given(data=st.data())
def test_no_damage_is_ever_installed(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Cut off anywhere, or with any byte changed, an object is refused, and nothing is left beside the file."""
    folder = tmp_path_factory.mktemp("damage")
    store, target = folder / "m.mls", folder / "out" / "pulled.mls"
    target.parent.mkdir()
    good = encode(compiled(stamped(1), serial=1))
    if data.draw(st.booleans()):
        bad = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        place = data.draw(st.integers(0, len(good) - 1))
        bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    store.write_bytes(bad)
    assert refused(puller(store, target)).kind == "refused"
    assert list(target.parent.iterdir()) == []


def test_only_what_a_trusted_key_has_signed_is_installed(store: Path, target: Path) -> None:
    """With trusted keys, unsigned objects and those of strangers are refused; either of two trusted keys will do."""
    old_key, new_key, stranger = (SigningKey.generate() for _ in range(3))
    trusted = TrustedKeys({key.key_id: key.private.public_key() for key in (old_key, new_key)})
    pull = puller(store, target, trusted)
    assert "unsigned" in str(refused(pull))
    plain = store.read_bytes()
    store.write_bytes(reissue(plain, serial=2, signer=stranger))
    assert stranger.key_id.hex() in str(refused(pull))
    assert not target.exists()
    for serial, key in ((3, old_key), (4, new_key)):
        store.write_bytes(reissue(plain, serial=serial, signer=key))
        assert pull.pull().installed
        assert header(target.read_bytes()).serial == serial


def test_a_large_loss_is_not_installed(store: Path, target: Path) -> None:
    """A snapshot that takes away more than the limit is refused, and told by name; with a higher limit it is taken."""
    pull = puller(store, target)
    pull.pull()
    good = target.read_bytes()
    write_snapshot(store, stamped(2, mirrors=6), serial=2)
    assert "2 of 8 mirrors (25.0 %): m6.example, m7.example" in str(refused(pull))
    assert target.read_bytes() == good
    assert Puller(StoredObject.at(store.as_uri()), target, max_loss=0.25).pull().installed


def test_who_has_to_look_is_said(store: Path, target: Path, tmp_path: Path) -> None:
    """An object that is not there, and a file that cannot be written, are told apart."""
    assert refused(puller(store.with_name("none.mls"), target)).kind == "missing"
    assert refused(puller(store, tmp_path / "no" / "folder" / "m.mls")).kind == "local"


@pytest.mark.process
@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@host/m.mls",
        f"https://{SECRET}@host/m.mls",
        f"https://host/m.mls?signature={SECRET}",
        f"s3://bucket/m.mls#{SECRET}",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    """URLs are logged, so they may hold no secrets; the refusal says where secrets belong, and not what it was."""
    for command in (["pull", url, "m.mls"], ["check", "--state-dir", "/s", "--pull", url]):
        done = subprocess.run(
            [sys.executable, "-m", "mirrorlistd", *command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert SECRET not in done.stderr
        assert "password" in done.stderr


@pytest.mark.parametrize("url", ["", "m.mls", "s3://bucket", "s3://bucket/", "https://", "ftp://h/m.mls", "http://[/m"])
def test_what_names_no_object_is_refused(url: str) -> None:
    """A URL without an object, or of a kind that no store has, is one error with an example."""
    with pytest.raises(StoreError, match=r"such as s3://bucket/mirrors\.mls"):
        StoredObject.at(url)


def test_a_folder_is_named_by_its_whole_path() -> None:
    """What follows `file://` is a host, where another path would be read and written than was meant."""
    with pytest.raises(StoreError, match=r"file://store/m\.mls: expected a whole path, as file:///srv/mirrors\.mls"):
        StoredObject.at("file://store/m.mls")


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    """Whatever is given as a URL raises StoreError and nothing else."""
    try:
        StoredObject.at(text)
    except StoreError:
        return
    assert is_url(text)


@pytest.mark.parametrize("kind", ["pipe", "folder", "large"])
def test_what_is_no_file_of_a_snapshots_size_is_refused_at_once(kind: str, tmp_path: Path, target: Path) -> None:
    """A pipe that nobody writes to, a folder, a sparse file of gigabytes, each as `file:` URL."""
    path = tmp_path / "m.mls"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(3 << 30)
    found = {"pipe": "but a pipe", "folder": "but a folder", "large": "has 3221225472 bytes, more than"}[kind]
    assert found in str(refused(puller(path, target)))


every_seconds = st.floats(0.1, 86_400)


@given(every_seconds, st.integers(0, 200), st.integers())
def test_the_pace_is_bounded(every: float, failures: int, seed: int) -> None:
    """Servers ask every so often, give or take a tenth; after a failure no later than that, nor than five minutes."""
    pace = Pace(every, Random(seed))
    wait = pace.wait(good=True)
    for _ in range(failures):
        wait = pace.wait(good=False)
    assert pace.failures == failures
    if not failures:
        assert every * (1 - JITTER) <= wait <= every * (1 + JITTER)
    else:
        longest = min(every, LONGEST_RETRY, FIRST_RETRY * 2 ** min(failures - 1, 20))
        assert longest / 2 <= wait <= longest


@pytest.mark.slow
def test_failures_are_counted_and_a_success_ends_the_count(store: Path, target: Path) -> None:
    """Reports number the failures in a row, and the wait after them grows."""
    good = store.read_bytes()
    pull = puller(store, target)
    said: list[AttemptReport] = []
    for report in islice(attempts(pull.pull, Pace(0.1, Random(1))), 5):
        said.append(report)
        store.write_bytes(good if len(said) == 3 else b"bad")
    assert [report.failures for report in said] == [0, 1, 2, 0, 1]
    assert [report.result for report in said] == ["installed", "refused", "refused", "unchanged", "refused"]
    assert all(AttemptReport.parse(report.line()) == report for report in said)


@given(st.one_of(st.text(), st.from_regex(r'\{"at": 1, "seconds": 1, "result": "\w+"\}', fullmatch=True)))
def test_a_report_that_is_none_is_a_value_error(text: str) -> None:
    """What a child says is read as a report or raises ValueError, whatever it is."""
    with contextlib.suppress(ValueError):
        assert AttemptReport.parse(text).result in RESULTS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `mirrorlistd pull`."""
    command: Sequence[str] = [sys.executable, "-m", "mirrorlistd", "pull", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.process
def test_a_missing_extra_is_named(store: Path, target: Path) -> None:
    """Without the packages for stores, every command that wants one says what to install, and nothing starts."""
    code = "import runpy, sys; sys.modules['obstore'] = sys.modules['obstore.store'] = None; sys.argv[1:] = {}; {}"
    start = "runpy.run_module({!r}, run_name='__main__')"
    state = ["--state-dir", str(target.parent), "--port", "0"]
    for module, arguments in (
        ("mirrorlistd", ["pull", store.as_uri(), str(target)]),
        ("mirrorlistd", ["serve", "--pull", store.as_uri(), *state]),
        ("mirrorlist_snapshot", ["publish", str(store), "s3://bucket/m.mls"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code.format(arguments, start.format(module))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "pip install 'mirrorlistd[pull]'" in done.stderr


@pytest.mark.process
def test_the_command(store: Path, target: Path, tmp_path: Path) -> None:
    """It says what the file is now, and exits with 0 if that is what the store has, else with 1."""
    done = run(store.as_uri(), str(target))
    assert (done.returncode, done.stdout) == (0, f"{target}: is now snapshot 1 of {store.as_uri()}\n")
    done = run(store.as_uri(), str(target))
    assert (done.returncode, done.stdout) == (0, f"{target}: is still snapshot 1 of {store.as_uri()}\n")
    store.write_bytes(b"bad")
    done = run(store.as_uri(), str(target), "--json")
    assert (done.returncode, AttemptReport.parse(done.stdout).result) == (1, "refused")
    SigningKey.generate().write(tmp_path / "key")
    done = run(store.as_uri(), str(target), "--trusted-key", str(tmp_path / "key.key"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "is a private key" in done.stderr
    for flag, found in (("--every", "0"), ("--every", "x"), ("--max-loss", "nan")):
        done = run(store.as_uri(), str(target), flag, found)
        assert (done.returncode, done.stderr.endswith(f", found {found!r}\n")) == (2, True)


@pytest.mark.process
def test_the_commands_exit_status_tells_what_happened_to_the_file(store: Path, target: Path) -> None:
    """An output that cannot be written is exit status 4 where the file is the store's object, and else 1."""
    for every in ((), ("--every", "5")):
        for output in ("/dev/full", "gone"):
            target.unlink(missing_ok=True)
            assert run_into(output, store.as_uri(), str(target), "--json", *every) == 4
            assert target.read_bytes() == store.read_bytes()
    store.write_bytes(b"bad")
    assert run_into("/dev/full", store.as_uri(), str(target), "--json") == 1


def run_into(output: str, *arguments: str) -> int:
    """Run the command with an output that cannot be written; its exit status."""
    read, write = os.pipe()
    os.close(read)
    descriptor = write if output == "gone" else os.open(output, os.O_WRONLY)
    command = [sys.executable, "-m", "mirrorlistd", "pull", *arguments]
    done = subprocess.run(command, stdout=descriptor, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(write)
    assert b"Traceback" not in done.stderr
    return done.returncode


def test_a_folder_that_cannot_be_flushed_does_not_hide_what_was_installed(
    store: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is in place, so the server must load it; a power failure that undoes it is followed by another pull."""
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(5, "Input/output error")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert puller(store, target).pull().installed
    assert target.read_bytes() == store.read_bytes()


@pytest.mark.parametrize("letter", ["x", "\u0000", "\U0001f600"])
def test_the_report_of_an_error_of_any_length_is_a_line_that_the_server_reads(letter: str) -> None:
    """A name of a megabyte in a bad snapshot is in its error: the line is cut, not the child's life."""
    report = AttemptReport(at=1.0, seconds=2.0, result="refused", failures=3, error=letter * 1_000_000)
    line = report.line()
    assert len(line) < 1 << 15
    found = AttemptReport.parse(line)
    assert (found.result, found.failures) == ("refused", 3)
    assert (found.error or "").startswith(letter * 1_000)
