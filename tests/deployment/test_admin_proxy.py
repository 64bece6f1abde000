"""nginx in front of `mirrorlist-admin serve`, as deploy/ configures it: both really run."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.deployment.proxies import proxy
from support.processes import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.deployment.proxies import Proxy

pytestmark = [pytest.mark.process, pytest.mark.network]


@pytest.fixture(scope="module", name="front")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy, and a server of reports and pages behind it, which knows no mirror yet."""
    state = tmp_path_factory.mktemp("state")
    command = [sys.executable, "-m", "mirrorlist_admin", "serve", "--state", str(state), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            ports = (found[1] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
            with proxy("nginx-admin", int(next(ports))) as made, made.running():
                yield made
        finally:
            server.terminate()
            server.wait(SECONDS)


def test_nginx_finds_no_fault() -> None:
    """The real program accepts the file."""
    with proxy("nginx-admin", 9) as made:
        done = made.check()
    assert done.returncode == 0, done.stderr


def test_pages_are_passed_on_and_tokens_never_go_in_the_clear(front: Proxy) -> None:
    """Over TLS the pages answer; without it every request, a report too, is sent to TLS."""
    page = front.at(tls=True).get("/mirrors?format=json")
    assert (page.status, page.json["mirrors"]) == (200, [])
    for target in ("/mirrors", "/checkin"):
        plain = front.at().get(target)
        assert (plain.status, plain.headers["location"]) == (301, f"https://127.0.0.1{target}")


@pytest.mark.parametrize(("size", "status"), [(10, {401, 403}), ((1 << 20) + 1, {413})])
def test_reports_reach_the_server_and_are_bounded(front: Proxy, size: int, status: set[int]) -> None:
    """A report with a wrong token gets the server's answer; one of more than 1 MiB gets nginx' own."""
    headers = {"authorization": "Bearer wrong", "content-type": "application/json"}
    with contextlib.closing(front.at(tls=True).connect()) as connection:
        connection.request("POST", "/checkin", body=b"x" * size, headers=headers)
        assert connection.getresponse().status in status
