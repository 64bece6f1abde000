"""The real nginx and HAProxy, with the configurations of deploy/ as they are but for places: ports, paths."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.certificates import write_certificate
from support.paths import ROOT
from support.processes import SECONDS, At, eventually, listens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEPLOY = ROOT / "deploy"
PLACES = {
    "nginx": {
        "listen 80;": "listen 127.0.0.1:{http};",
        "listen [::]:80;": "listen [::1]:{http};",
        "listen 443 ssl": "listen 127.0.0.1:{https} ssl",
        "listen [::]:443 ssl": "listen [::1]:{https} ssl",
        "/etc/ssl/mirrors.example.org.pem": "{folder}/cert.pem",
        "/etc/ssl/private/mirrors.example.org.key": "{folder}/key.pem",
        "/run/mirrorlistd.sock": "{folder}/http",
    },
    "nginx-admin": {
        "listen 80;": "listen 127.0.0.1:{http};",
        "listen [::]:80;": "listen [::1]:{http};",
        "listen 443 ssl": "listen 127.0.0.1:{https} ssl",
        "listen [::]:443 ssl": "listen [::1]:{https} ssl",
        "/etc/ssl/mirrors.example.org.pem": "{folder}/cert.pem",
        "/etc/ssl/private/mirrors.example.org.key": "{folder}/key.pem",
        "127.0.0.1:8090": "127.0.0.1:{behind}",
    },
    "haproxy": {
        "bind :80\n": "bind 127.0.0.1:{http}\n",
        "bind :::80 v6only": "bind ::1:{http} v6only",
        "bind :443 ssl": "bind 127.0.0.1:{https} ssl",
        "bind :::443 v6only ssl": "bind ::1:{https} v6only ssl",
        "/etc/haproxy/mirrors.example.org.pem": "{folder}/cert.pem",
        "/run/haproxy/": "{folder}/",
        "/run/mirrorlistd.sock": "{folder}/http",
    },
}
"""What a configuration says -> what it says here; the rest is run as it is."""
FILES = {
    "nginx": "nginx/mirrorlistd.conf",
    "nginx-admin": "nginx/mirrorlist-admin.conf",
    "haproxy": "haproxy/haproxy.cfg",
}
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr; user www-data; events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    include {folder}/proxy.conf;
}}
"""
"""What includes a file of conf.d."""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs, or can run."""

    kind: str
    folder: Path
    """Everybody may enter: proxies give up root. The server's Unix socket is `http` in it."""
    http: int
    https: int
    places: Mapping[str, str]
    behind: int = 0
    """The port of what it passes on to, where that is no Unix socket."""

    @property
    def command(self) -> list[str]:
        """Runs it in the foreground."""
        if self.kind != "haproxy":
            return ["nginx", "-c", f"{self.folder}/nginx.conf"]
        return ["haproxy", "-W", "-f", f"{self.folder}/proxy.conf"]

    def write(self) -> None:
        """Write the configuration, with its places changed."""
        text = (DEPLOY / FILES[self.kind]).read_text()
        values = {"folder": self.folder, "http": self.http, "https": self.https, "behind": self.behind}
        for place, here in self.places.items():
            assert place in text, f"{place!r} is not in the configuration any more"
            text = text.replace(place, here.format(**values))
        (self.folder / "proxy.conf").write_text(text)
        (self.folder / "nginx.conf").write_text(NGINX.format(**values))

    def check(self) -> subprocess.CompletedProcess[str]:
        """Have the real program judge the configuration."""
        flag = "-c" if self.kind == "haproxy" else "-t"
        return subprocess.run(
            [*self.command, flag],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Run it until the block ends."""
        log = (self.folder / "log").open("w+")
        process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True)

        def up() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text()
            return listens(self.https)

        try:
            eventually(up, f"{self.kind} listens")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS)
            finally:
                process.kill()
                log.close()

    def at(self, source: str = "127.0.0.1", *, tls: bool = False) -> At:
        """Reach it as a client with this address."""
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem")) if tls else None
        return At(self.https if tls else self.http, source, context)


@contextlib.contextmanager
def proxy(kind: str, behind: int = 0) -> Iterator[Proxy]:
    """A proxy in a folder of its own, with a throw-away certificate; not started."""
    with tempfile.TemporaryDirectory(prefix="mirrorlistd-proxy-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        public, secret = folder / "cert.pem", folder / "key.pem"
        write_certificate(public, secret, "127.0.0.1")
        public.write_bytes(public.read_bytes() + secret.read_bytes())  # as HAProxy wants it
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        http, https = (probe.getsockname()[1] for probe in probes)
        stack.close()
        made = Proxy(kind, folder, http, https, PLACES[kind], behind)
        made.write()
        yield made
