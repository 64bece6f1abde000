"""Objects in a store (S3, GCS, Azure, an HTTP server, a folder), each named by one URL.

`obstore` implements the protocols, retries and signed requests. Credentials and endpoints come from its environment
variables (AWS_*, GOOGLE_*, AZURE_*), never from a URL, and never appear in a message. Reading is bounded in size and
time. A write names the version that it replaces; the store refuses it if another writer was faster.
`StoredObject.guards_writes` is false for stores that cannot refuse (HTTP).
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mirrorlist_snapshot.errors import NoObjectError, StoreConflictError, StoreError
from mirrorlist_snapshot.input_file import SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from obstore.store import ClientConfig, ObjectStore, RetryConfig

MAX_OBJECT_BYTES: Final = SNAPSHOT.size
CONNECT_SECONDS: Final = 5
SILENT_SECONDS: Final = 10
"""Without a byte: a store that hangs counts as unreachable."""
READ_SECONDS: Final = 120
"""For a whole object: 10 MB at less than a megabit per second."""
SCHEMES: Final = ("s3", "gs", "az", "https", "http", "file")
GUARDED: Final = ("s3", "gs", "az")
"""Schemes of stores that refuse a write over a version that the writer has not read."""
NO_CLIENT: Final = "stores need the package obstore: pip install 'mirrorlistd[pull]'"
_EXAMPLES: Final = "s3://bucket/mirrors.mls or https://host/mirrors.mls"

_STATUS: Final = re.compile(r"status code: (\d{3} [A-Za-z -]+)")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_CAUSE: Final = re.compile(r'(?:message|error): "([^"]{1,100})"|InvalidCertificate\(\s*(\w+)|(TimedOut|timed out)')
"""The cause in the debugging details of the store's client: words of the system, never a URL."""
_WORD: Final = re.compile(r"\S+")


def _without_url(word: re.Match[str]) -> str:
    """Replace a word that holds a URL, which may be signed. Words are taken whole, so none is searched twice."""
    return "..." if "://" in word[0] else word[0]


def is_url(target: str) -> bool:
    """Whether the target is the URL of a store, not the path of a file."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", target))


def have_client() -> bool:
    """Whether the packages for stores are installed; they are not imported, because they start threads."""
    return find_spec("obstore") is not None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """The version of an object that was read; conditional requests name it."""

    etag: str | None
    token: str | None
    """A second identifier that some stores have (GCS: the generation)."""


@dataclass(frozen=True, slots=True)
class FetchedObject:
    """An object as it was at one moment."""

    data: bytes
    version: ObjectVersion


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object, which may not exist."""

    url: str
    """URL of the object, without credentials, so that it can be logged."""
    name: str
    """Its last part."""
    store: ObjectStore
    """The store of the folder that contains the object."""

    @classmethod
    def at(cls, url: str) -> StoredObject:
        """Return the object that a URL names; raise StoreError if it names none, or if packages are missing."""
        scheme, folder, name = split_url(url)
        try:
            from obstore.store import from_url  # noqa: PLC0415 - of an extra, needed only for stores
        except ImportError as error:
            raise StoreError(NO_CLIENT) from error
        plain: ClientConfig = {"allow_http": True} if scheme == "http" or _plain_http(scheme) else {}
        seconds: ClientConfig = {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=SILENT_SECONDS),
            "timeout": timedelta(seconds=READ_SECONDS),
        }
        # Callers have their own schedule of retries; these are for momentary failures.
        retries: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}
        with _as_store_error(url):
            if scheme == "file":
                return cls(url, name, from_url(folder))
            store: ObjectStore = from_url(folder, client_options=plain | seconds, retry_config=retries)
            return cls(url, name, store)

    @property
    def guards_writes(self) -> bool:
        """Whether the store refuses a write over a version that is no longer in place."""
        return self.url.partition(":")[0].lower() in GUARDED

    @property
    def etags_are_times(self) -> bool:
        """Whether ETags are made of times in whole seconds, so that two versions within a second can share one."""
        return self.url.partition(":")[0].lower() in ("http", "https")  # nginx and Apache: time and size

    def sibling(self, name: str) -> StoredObject:
        """Return another object of the same folder."""
        return StoredObject(self.url.removesuffix(self.name) + name, name, self.store)

    def siblings(self) -> list[str]:
        """Return the names in the same folder; raise StoreError, also if the store has no lists (HTTP)."""
        import obstore  # noqa: PLC0415 - as above

        with _as_store_error(self.url):
            found = obstore.list_with_delimiter(self.store)  # pyright: ignore[reportUnknownMemberType] - or Arrow
        return sorted(meta["path"].rpartition("/")[2] for meta in found["objects"])

    def fetch(
        self, known: ObjectVersion | None = None, check: Callable[[bytes, int], object] = lambda _start, _size: None
    ) -> FetchedObject | None:
        """Return the object, None if it still is the `known` version; raise NoObjectError or StoreError.

        `check` gets the first bytes and the size before the rest is read, and may raise.
        """
        import obstore  # noqa: PLC0415 - as above
        from obstore.exceptions import NotModifiedError  # noqa: PLC0415 - as above

        until = monotonic() + READ_SECONDS
        with _as_store_error(self.url):
            try:
                unless = {"if_none_match": known.etag} if known and known.etag else {}
                got = obstore.get(self.store, self.name, options=unless)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - a TypedDict
            except NotModifiedError:
                return None
            size = got.meta["size"]
            if size > MAX_OBJECT_BYTES:
                raise StoreError(f"{self.url}: {size} bytes, more than the {MAX_OBJECT_BYTES} that a snapshot may have")
            data = bytearray()
            checked = False
            for chunk in got.stream(min_chunk_size=1 << 16):
                data += chunk
                if not checked:
                    checked = True
                    check(bytes(data[: 1 << 16]), size)
                if len(data) > size or monotonic() > until:
                    break
        if len(data) != size:
            raise StoreError(f"{self.url}: expected {size} bytes within {READ_SECONDS} s, found {len(data)}")
        return FetchedObject(bytes(data), ObjectVersion(got.meta["e_tag"], got.meta["version"]))

    def http_url(self) -> str | None:
        """Return a URL for reading the object by HTTP, signed for READ_SECONDS; None where the store can sign none.

        It may hold a secret: it is not to be logged.
        """
        import obstore  # noqa: PLC0415 - as above

        scheme = self.url.partition(":")[0].lower()
        if scheme in ("http", "https"):
            return self.url
        if scheme == "file":
            return None
        signable: Any = self.store  # of the three kinds that can sign
        anonymous = _is_on(scheme, "SKIP_SIGNATURE")
        try:
            if anonymous:
                signable = _with_any_key(scheme, self.url.removesuffix(self.name))
            url = str(obstore.sign(signable, "GET", self.name, timedelta(seconds=2 * READ_SECONDS)))
        except Exception:  # noqa: BLE001 - credentials that cannot sign: the store's client knows the rest
            return None
        url = url.partition("?")[0] if anonymous else url
        return url if url.startswith("https:") or _plain_http(scheme) else None  # the client refuses plain HTTP

    def put(self, data: bytes, over: ObjectVersion | None) -> None:
        """Write the object over version `over`; if that is None, create it.

        Raise StoreConflictError if the store has another version, which then stays, and StoreError for other failures.
        Stores that do not guard writes replace any version.
        """
        import obstore  # noqa: PLC0415 - as above
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415 - as above

        mode: Any = "overwrite"
        if self.guards_writes:
            known = {"e_tag": over.etag, "version": over.token} if over else {}
            mode = {key: value for key, value in known.items() if value is not None} or "create"
        with _as_store_error(self.url):
            try:
                obstore.put(self.store, self.name, data, mode=mode, use_multipart=False)
            except (AlreadyExistsError, FileExistsError, PreconditionError) as error:
                raise StoreConflictError(
                    f"{self.url}: another writer has replaced it since it was read; nothing was changed, publish again"
                ) from error

    def delete(self) -> None:
        """Delete the object, if it exists."""
        import obstore  # noqa: PLC0415 - as above

        with _as_store_error(self.url):
            obstore.delete(self.store, self.name)


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, URL of the folder and name of the object; raise StoreError with no secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreError(f"expected a URL such as {_EXAMPLES}, found one that cannot be read") from error
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise StoreError(
            f"{parts.scheme}://...: expected no user, password, query or fragment in a URL: it would be logged; "
            "give credentials in the environment (AWS_ACCESS_KEY_ID, ...)"
        )
    folder, _, name = parts.path.rpartition("/")
    if parts.scheme not in SCHEMES or not name or (not parts.netloc and parts.scheme != "file"):
        raise StoreError(f"{url}: expected the URL of an object, such as {_EXAMPLES}; schemes: {', '.join(SCHEMES)}")
    if parts.scheme == "file" and parts.netloc:  # a relative path, most likely
        raise StoreError(f"{url}: expected a whole path, as file:///srv/mirrors.mls; found a host, {parts.netloc}")
    return parts.scheme, f"{parts.scheme}://{parts.netloc}{folder}/", name


def _plain_http(scheme: str) -> bool:
    """Whether obstore's own variable, which our options would replace, allows an endpoint without TLS."""
    return _is_on(scheme, "ALLOW_HTTP")


def _is_on(scheme: str, variable: str) -> bool:
    """Whether a variable of a kind of store is set, such as AWS_ALLOW_HTTP."""
    prefix = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}.get(scheme)
    return os.environ.get(f"{prefix}_{variable}", "").lower() in ("1", "true", "yes", "on")


def _with_any_key(scheme: str, folder: str) -> ObjectStore:
    """Return a store that signs with a key which does not count: the URL without its signature is the anonymous one."""
    from obstore.store import from_url  # noqa: PLC0415 - of an extra

    keys: Any = {"s3": {"access_key_id": "x", "secret_access_key": "x"}, "az": {"account_key": "eHg="}}[scheme]
    return from_url(folder, config=keys | {"skip_signature": "false"})


@contextmanager
def _as_store_error(url: str) -> Generator[None]:
    """Raise StoreError, in our own words, for every error of a store's client."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - of an extra

    try:
        yield
    except FileNotFoundError as error:
        raise NoObjectError(f"{url}: is not there; publish it first, or correct the URL") from error
    except (BaseError, OSError, NotImplementedError, ValueError) as error:
        raise StoreError(f"{url}: {_reason(error)}") from None  # the cause may contain secrets


def _reason(error: Exception) -> str:
    """Return the reason of a client's error without URLs (they may be signed), page bodies and debugging details."""
    text = str(error)
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"the store answers {status[1].strip()}" + (f" ({code[1]})" if code else "")
    message = _WORD.sub(_without_url, text.partition("\n")[0].rpartition(" - ")[2])[:200]
    if message.endswith("builder error"):
        return "plain HTTP is allowed only with AWS_ALLOW_HTTP=true, or the variable of that store"
    cause = next(filter(None, (found for match in _CAUSE.finditer(text) for found in match.groups())), "")
    return f"the store cannot be reached: {message}" + (f" ({cause})" if cause else "")
