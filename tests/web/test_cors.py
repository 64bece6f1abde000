"""Cross-origin requests (the Fetch standard): which answers a script of another site may read."""

from __future__ import annotations

import pytest

from support.readers import browser

pytestmark = pytest.mark.slow

SHARED = ("/repos", "/repos/r", "/mirrors", "/mirrors?repo=r", "/mirrors?country=DE", "/repos/old")
OWN = (
    "/",
    "/explain?repo=r",
    "/mirrorlist?repo=r",
    "/mirrorlist?repo=r&format=json",
    "/r/r/x.iso",
    "/readyz",
    "/metrics",
)


@pytest.mark.parametrize("form", ["text/html", "application/json", "*/*"])
def test_scripts_of_any_origin_may_read_what_is_the_same_for_every_client(form: str) -> None:
    """`*` on repositories and mirrors in each form, on 304 and on their errors; never on what depends on the client."""
    headers = {"origin": "https://elsewhere.example", "accept": form}
    for path in (*SHARED, "/repos/nothing", "/mirrors?country=Germany", "/repos/gone", "/repos?format=x"):
        reply = browser().get(path, headers=headers)
        assert reply.headers["access-control-allow-origin"] == "*", path
        if "etag" in reply.headers:
            again = browser().get(path, headers=headers | {"if-none-match": reply.headers["etag"]})
            assert (again.status_code, again.headers["access-control-allow-origin"]) == (304, "*")
    for path in OWN:
        reply = browser().get(path, headers=headers)
        assert not [name for name in reply.headers if name.startswith("access-control")], path


def test_a_preflight_request_is_answered() -> None:
    """OPTIONS on what scripts may read: the methods, any header, no body; elsewhere it is refused as before."""
    asks = {"origin": "https://x.example", "access-control-request-method": "GET"}
    for path in (*SHARED, "/repos/nothing"):
        reply = browser().options(path, headers=asks | {"access-control-request-headers": "if-none-match"})
        assert (reply.status_code, reply.content) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == reply.headers["access-control-allow-headers"] == "*"
        assert reply.headers["access-control-allow-methods"] == reply.headers["allow"] == "GET, HEAD, OPTIONS"
    for path in OWN:
        reply = browser().options(path, headers=asks)
        assert reply.status_code == 405
        assert not [name for name in reply.headers if name.startswith("access-control")], path
