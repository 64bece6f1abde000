#!/usr/bin/env python3
"""mirrorlist-report: tell a mirror network what this mirror has, right after each synchronisation.

One file that needs nothing but Python 3.6 or newer. Copy it to the mirror, or install it with the package. It asks the
network's server which index files matter, hashes these below the folders that you name, and sends hashes, sizes and
times. It sends nothing else, and it changes nothing on the mirror. The token says which mirror speaks.
"""

import argparse
import calendar
import configparser
import gzip
import hashlib
import hmac
import json
import os
import re
import stat
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

DONE, LOCAL, USAGE, UNREACHED, REFUSED = 0, 1, 2, 3, 4
"""Exit statuses; see EPILOG."""
CONFIG = "/etc/mirrorlist-report.ini"
FORM = 1
"""The form of the report: docs/http-api.md, Check-in."""
CHUNK = 1 << 20
LARGEST_FILE = 1 << 28
"""Bytes. Index files have less; what is larger is not hashed."""
LARGEST_ANSWER = 1 << 23
"""Bytes that are read of an answer."""
LONGEST_DOWN = 30 * 86400
"""Seconds; a mirror that is away for longer should be taken off the network's list."""
PAUSES = (10, 40)
"""Seconds before the second and the third try."""
LONGEST_PAUSE = 120
"""Seconds that the server may ask for by Retry-After."""
EPILOG = """\
The configuration:

  [server]
  url = https://mirrors.example.org
  token-file = /etc/mirrorlist-report.token    # mode 600; or the token itself: token = mlr_...
  limit = 2000                                 # optional: Mbit/s that this mirror can give
  interface = eth0                             # optional: report the bytes that this interface has sent

  [folders]                                    # the top of each category on this mirror's disk
  epel = /srv/mirror/epel

From cron or a script, after rsync:

  rsync ... && mirrorlist-report
  mirrorlist-report --dry-run                  # shows what would be sent
  mirrorlist-report --syncing                  # before rsync, if it takes long
  mirrorlist-report --down-until 06:00 --reason "new disks"
  mirrorlist-report --up                       # back earlier

exit status: 0 reported (or shown), 1 a file or folder on this mirror is in the way and nothing was sent, 2 wrong usage
or configuration, 3 the server was not reached or is busy (the next run will do), 4 the server refused the report"""


class Problem(Exception):  # noqa: N818 - its text is the message
    """What ends the command: an exit status, and a text for people."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Settings(NamedTuple):
    """What the configuration and the command line say."""

    url: str
    """Where the server takes reports."""
    token: str
    folders: Dict[str, str]
    """Category -> folder."""
    limit: Optional[int]
    """Mbit/s."""
    interface: Optional[str]
    follow: bool
    """Whether links may lead out of the folders."""


class Challenge(NamedTuple):
    """Bytes of one index file, by which the mirror shows that it has the file and not only its hash."""

    nonce: str
    category: str
    unit: str
    offset: int
    length: int
    """Bytes."""


class Task(NamedTuple):
    """What the server answers."""

    mirror: str
    serial: int
    """That of the last report; the next one has a higher one."""
    units: Dict[str, List[str]]
    """Category -> the paths of its index files below the category's top."""
    challenge: Optional[Challenge]
    message: str


class File(NamedTuple):
    """One index file on the disk."""

    sha256: str
    size: int
    """Bytes."""
    time: int
    """Modification time, seconds since 1970."""
    part: bytes
    """The bytes that the server has asked for."""


def main(words: Optional[List[str]] = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the command and return its exit status."""
    options = parser().parse_args(words)
    try:
        return run(options, sleep)
    except Problem as problem:
        say(str(problem))
        return problem.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="mirrorlist-report",
        description=(__doc__ or "").partition("\n\n")[2],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("folders", nargs="*", metavar="CATEGORY=FOLDER", help="instead of the configured folders")
    made.add_argument("--config", metavar="FILE", help=f"the configuration (default: {CONFIG})")
    made.add_argument("--server", metavar="URL", help="the network's server, instead of the configured one")
    made.add_argument("--token-file", metavar="FILE", help="the file that holds the token")
    made.add_argument("--limit", metavar="MBITS", type=int, help="Mbit/s that this mirror can give")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--down-until", metavar="TIME", help="take the mirror out of all lists until 06:00, "
                      "'2026-12-31 06:00' (this host's time), 2026-12-31T05:00Z, or for 4h or 2d")  # fmt: skip
    what.add_argument("--up", action="store_true", help="the mirror is back earlier than --down-until said")
    what.add_argument("--syncing", action="store_true", help="a synchronisation begins; the next report ends it")
    made.add_argument("--reason", metavar="TEXT", help="why the mirror is down, for the public page")
    made.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    made.add_argument("--tries", metavar="N", type=int, default=3, help="tries to reach the server (default: 3)")
    made.add_argument("-v", "--verbose", action="store_true", help="say what was reported")
    return made


def run(options: argparse.Namespace, sleep: Callable[[float], None]) -> int:
    """Report, or show what would be reported."""
    now = int(time.time())
    notice = read_notice(options, now)
    settings = read_settings(options)
    if not notice:
        check_folders(settings.folders)
    task = ask(settings, None, options.tries, sleep)
    report = {"form": FORM, "time": now, **(notice or read_content(task, settings))}
    report["serial"] = max(now, task.serial + 1)
    if options.dry_run:
        print(json.dumps(report, indent=2, sort_keys=True))  # noqa: T201 - the result
        say(f"nothing was sent: this would go to {settings.url} for the mirror {task.mirror}")
        return DONE
    answer = ask(settings, json.dumps(report).encode("ascii"), options.tries, sleep)
    if options.verbose:
        say(f"{task.mirror}: {answer.message}")
    return DONE


def read_notice(options: argparse.Namespace, now: int) -> Dict[str, Any]:
    """Return what is said about the mirror as a whole; empty if its content shall be reported."""
    if options.reason and not options.down_until:
        raise Problem(USAGE, "--reason goes with --down-until")
    if options.down_until:
        return {"down_until": moment(options.down_until, now), "reason": (options.reason or "maintenance")[:200]}
    if options.up:
        return {"down_until": 0}
    return {"syncing": True} if options.syncing else {}


def read_content(task: Task, settings: Settings) -> Dict[str, Any]:
    """Hash the index files that the server names, and answer its challenge."""
    said: Dict[str, Any] = {"units": {}}
    for category in sorted(set(task.units) - set(settings.folders)):
        say(f"warning: the server expects the category {category} and [folders] does not name it; it is not reported")
    for category, folder in sorted(settings.folders.items()):
        if category not in task.units:
            known = ", ".join(sorted(task.units)) or "none"
            raise Problem(USAGE, f"this mirror has no category {category!r}; the server knows of it: {known}")
        said["units"][category] = read_category(category, folder, task, settings, said)
    if settings.limit is not None:
        said["limit"] = settings.limit
    if settings.interface is not None:
        said["sent"] = sent_bytes(settings.interface)
    return said


def read_category(
    category: str, folder: str, task: Task, settings: Settings, said: Dict[str, Any]
) -> Dict[str, Optional[Dict[str, Any]]]:
    """Return for each index file of a category what is on the disk, None for nothing; add the proof to what is said."""
    units = task.units[category]
    found: Dict[str, Optional[Dict[str, Any]]] = {}
    for unit in units:
        asked = task.challenge if task.challenge and task.challenge[1:3] == (category, unit) else None
        try:
            file = read_unit(folder, unit, asked[3:] if asked else (0, 0), follow=settings.follow)
        except OSError as error:
            path = os.path.join(folder, unit)
            say(f"warning: {path}: {error.strerror or error}; it is left out of the report")
            continue
        found[unit] = None if file is None else {"sha256": file.sha256, "size": file.size, "time": file.time}
        if asked and file is not None:
            proof = hmac.new(asked.nonce.encode("ascii"), file.part, hashlib.sha256).hexdigest()
            said["proof"] = {"nonce": asked.nonce, "hmac": proof}
    if units and not any(found.values()):
        text = "none of the {} index files of {} is below {}, for example {}: is the disk mounted, and is this the top"
        raise Problem(LOCAL, text.format(len(units), category, folder, units[0]) + " of the tree? Nothing was reported")
    return found


def check_folders(folders: Dict[str, str]) -> None:
    """Refuse a folder that is not there: a missing disk is no reason to report that everything is missing."""
    if not folders:
        raise Problem(USAGE, "no folders: name them under [folders] in the configuration, or as CATEGORY=FOLDER")
    for folder in folders.values():
        if not os.path.isdir(folder):
            raise Problem(LOCAL, f"{folder} is not a folder: is the disk mounted? Nothing was reported")


def read_unit(folder: str, unit: str, part: Tuple[int, int], *, follow: bool) -> Optional[File]:
    """Hash one index file below a folder; None if it is not there. Raise OSError if it cannot be read.

    The server names the path, so the path may not lead out of the folder, by `..` or, unless allowed, by a link.
    """
    steps = unit.split("/")
    if not unit or "\0" in unit or any(step in {"", ".", ".."} for step in steps):
        raise OSError("the server names a path that is none")
    path = os.path.join(folder, *steps)
    if not os.path.exists(path):
        return None
    real, top = os.path.realpath(path), os.path.realpath(folder)
    if not follow and not real.startswith(top.rstrip("/") + "/"):
        msg = f"a link leads out of {folder} to {real}; allow it with follow-links = yes"
        raise OSError(msg)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")
    digest, size, wanted = hashlib.sha256(), 0, b""
    offset, length = part
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_size > LARGEST_FILE:
            raise OSError("too large for an index file")
        while size <= LARGEST_FILE:
            chunk = file.read(CHUNK)
            if not chunk:
                break
            digest.update(chunk)
            wanted += chunk[max(0, offset - size) : max(0, offset + length - size)]
            size += len(chunk)
    return File(digest.hexdigest(), size, int(status.st_mtime), wanted)


def sent_bytes(interface: str) -> int:
    """Return the bytes that a network interface has sent since the host's start."""
    path = f"/sys/class/net/{interface}/statistics/tx_bytes"
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError) as error:
        raise Problem(USAGE, f"interface = {interface}: {error}") from error


def read_settings(options: argparse.Namespace) -> Settings:
    """Merge the configuration file and the command line; what is missing is named."""
    path = options.config or CONFIG
    config = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#",))
    config.optionxform = str  # type: ignore[assignment, method-assign]  # categories keep their capitals
    try:
        with open(path) as file:
            config.read_file(file, path)
    except FileNotFoundError as error:
        if options.config or not options.server:
            raise Problem(USAGE, f"{path} is not there; `mirrorlist-report --help` shows what to write") from error
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        raise Problem(USAGE, "{}: {}".format(path, getattr(error, "strerror", None) or error)) from error
    given = dict(config["server"]) if config.has_section("server") else {}
    unknown = sorted(set(given) - {"url", "token", "token-file", "limit", "interface", "follow-links"})
    if unknown:
        raise Problem(USAGE, "{}: [server] has no key {}".format(path, ", ".join(unknown)))
    folders = dict(config["folders"]) if config.has_section("folders") else {}
    if options.folders:
        folders = dict(split_folder(word) for word in options.folders)
    limit = given.get("limit") if options.limit is None else str(options.limit)
    if limit is not None and not (re.match(r"[0-9]{1,7}$", limit) and int(limit) > 0):
        raise Problem(USAGE, f"limit takes Mbit/s, a whole number from 1 to 9999999, not {limit!r}")
    follow = given.get("follow-links", "no")
    if follow not in {"yes", "no"}:
        raise Problem(USAGE, f"{path}: follow-links takes yes or no, not {follow!r}")
    return Settings(
        check_server(options.server or given.get("url", ""), path),
        read_token(options.token_file or given.get("token-file"), given.get("token"), path),
        {category: os.path.expanduser(folder) for category, folder in folders.items()},
        None if limit is None else int(limit),
        given.get("interface"),
        follow == "yes",
    )


def split_folder(word: str) -> Tuple[str, str]:
    """Split CATEGORY=FOLDER."""
    category, equals, folder = word.partition("=")
    if not (category and equals and folder):
        raise Problem(USAGE, f"expected CATEGORY=FOLDER, such as epel=/srv/mirror/epel, found {word!r}")
    return category, folder


def check_server(url: str, path: str) -> str:
    """Return the URL of the check-in; a token is sent only where nobody can read it."""
    if not url:
        raise Problem(USAGE, f"{path}: [server] needs url = https://...")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Problem(USAGE, f"the server's URL looks like https://mirrors.example.org, not like {url!r}")
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise Problem(USAGE, f"{url}: the token would be readable on its way; use https://")
    return url.rstrip("/") + "/checkin"


def read_token(file: Optional[str], token: Optional[str], path: str) -> str:
    """Return the token from its file, the configuration or the environment."""
    if file:
        try:
            with open(file) as opened:
                token = opened.read(4096)
            readable = os.stat(file).st_mode & 0o004
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(USAGE, "{}: {}".format(file, getattr(error, "strerror", None) or error)) from error
        if readable:
            say(f"warning: every user of this host can read {file}; chmod 600 it")
    token = (token or os.environ.get("MIRRORLIST_TOKEN", "")).strip()
    if not token:
        raise Problem(USAGE, f"no token: name token-file in {path}, or set MIRRORLIST_TOKEN; "
                      "the network's operators give you one")  # fmt: skip
    if not re.match(r"[A-Za-z0-9_-]{20,200}$", token):
        raise Problem(USAGE, "the token has characters that no token has: copy the whole line mlr_... and nothing else")
    return token


def moment(text: str, now: int) -> int:
    """Read a time as seconds since 1970: a duration from now, a time of today or tomorrow, or a date with a time."""
    found = _moment(text.strip(), now)
    if found is None:
        raise Problem(USAGE, f"--down-until takes 06:00, '2026-12-31 06:00', 2026-12-31T05:00Z, 4h or 2d, not {text!r}")
    if found <= now:
        raise Problem(USAGE, f"--down-until {text} is over already")
    if found > now + LONGEST_DOWN:
        raise Problem(USAGE, "--down-until reaches 30 days at most; ask the operators to take the mirror off the list")
    return found


def _moment(text: str, now: int) -> Optional[int]:
    duration = re.match(r"([0-9]{1,4})([mhd])$", text)
    if duration:
        return now + int(duration.group(1)) * {"m": 60, "h": 3600, "d": 86400}[duration.group(2)]
    for form, in_utc in (("%Y-%m-%dT%H:%MZ", True), ("%Y-%m-%dT%H:%M:%SZ", True),
                         ("%Y-%m-%d %H:%M", False), ("%Y-%m-%dT%H:%M", False)):  # fmt: skip
        try:
            read = time.strptime(text, form)
            return int(calendar.timegm(read) if in_utc else time.mktime(read))
        except (ValueError, OverflowError):  # noqa: PERF203 - four rounds
            continue
    try:
        clock = time.strptime(text, "%H:%M")
    except ValueError:
        return None
    today = time.localtime(now)
    for later in (0, 1):  # mktime puts the 32nd of a month, and summer time, right
        found = int(time.mktime((today[0], today[1], today[2] + later, clock[3], clock[4], 0, 0, 0, -1)))
        if found > now:
            return found
    return None


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the token is for one server."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:  # noqa: ANN401, PLR0913, PLR0917 - the base class's
        """Return nothing, so that the answer counts as an error."""


class Unreached(Exception):  # noqa: N818 - it is a state, not the end
    """One try that failed: why, and after how many seconds the server wants the next one, or 0."""

    def __init__(self, text: str, after: int = 0) -> None:
        super().__init__(text)
        self.after = after


def ask(settings: Settings, body: Optional[bytes], tries: int, sleep: Callable[[float], None]) -> Task:
    """Ask for the task, or send a report; again if the server is not reached or busy."""
    attempt = 0
    while True:
        try:
            return ask_once(settings, body)
        except Unreached as failure:
            attempt += 1
            pause = max(failure.after, PAUSES[min(attempt, len(PAUSES)) - 1])
            if attempt >= tries or pause > LONGEST_PAUSE:
                raise Problem(UNREACHED, f"{settings.url}: {failure}") from failure
        sleep(pause)


def ask_once(settings: Settings, body: Optional[bytes]) -> Task:
    """Send one request; raise Unreached, or Problem for what no repetition mends."""
    headers = {
        "Authorization": f"Bearer {settings.token}",
        "User-Agent": f"mirrorlist-report/{FORM}",
        "Accept": "application/json",
    }
    if body is not None:
        body = gzip.compress(body)
        headers.update({"Content-Type": "application/json", "Content-Encoding": "gzip"})
    request = urllib.request.Request(settings.url, body, headers)  # noqa: S310 - check_server has judged it
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=60) as response:
            return read_task(response.read(LARGEST_ANSWER + 1))
    except urllib.error.HTTPError as error:
        text = f"the server answers {error.code}: {reason_of(error)}"
        if error.code != 429 and error.code < 500:  # noqa: PLR2004 - HTTP's own numbers
            raise Problem(REFUSED, f"{settings.url}: {text}") from error
        after = error.headers.get("Retry-After") or ""
        raise Unreached(text, int(after) if re.match(r"[0-9]{1,9}$", after) else 0) from error
    except Problem:
        raise
    except Exception as error:  # URLError, resets, time-outs, half an answer: http.client's are no OSErrors
        raise Unreached(str(getattr(error, "reason", "") or error) or type(error).__name__) from error


def read_task(data: bytes) -> Task:
    """Parse an answer; raise Problem if it is not one of a check-in."""
    try:
        answer = json.loads(data[:LARGEST_ANSWER].decode("utf-8"))
        named = answer.get("challenge")
        challenge = named and Challenge(
            str(named["nonce"]), str(named["category"]), str(named["unit"]), int(named["offset"]), int(named["length"])
        )
        units = {str(category): [str(unit) for unit in units] for category, units in answer.get("units", {}).items()}
        message = str(answer.get("message", "reported"))
        return Task(str(answer["mirror"]), int(answer["serial"]), units, challenge, message)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(REFUSED, "the server's answer is not that of a check-in; is the URL right?") from error


def reason_of(error: urllib.error.HTTPError) -> str:
    """Return what a refusal says, in one line."""
    if 300 <= error.code < 400:  # noqa: PLR2004 - HTTP's own numbers
        where = error.headers.get("Location")
        return f"it redirects to {where!r}; if you trust that server, name it in the configuration"
    try:
        answer = json.loads(error.read(1 << 16).decode("utf-8"))
        return printable(str(answer["error"]))[:500]
    except Exception:  # noqa: BLE001 - a strange server's answer: its status has to do
        return str(error.reason)


def printable(text: str) -> str:
    """Escape what could steer a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def say(text: str) -> None:
    """Write a line for people; cron mails it."""
    sys.stderr.write(f"mirrorlist-report: {printable(text)}\n")


if __name__ == "__main__":
    sys.exit(main())
