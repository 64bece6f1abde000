"""The page `docs/clients.md`: its snippets, to be run as they stand there.

A snippet is a fenced block whose info string says `client=`, for example

    ```ini client=dnf form=mirrorlist repository=epel-9 file=/etc/yum.repos.d/epel-9.repo

`file` is where its text goes; without it the text is for a shell. Three things of a snippet are examples, and only
these are replaced: the server's name, the repository's name in URLs on that server, and `/etc/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "clients.md"
SERVER: Final = "https://mirrors.example.org"

_FENCED: Final = re.compile(r"^```(?P<info>.+)\n(?P<text>(?:.*\n)*?)```$", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """One configuration or command from the page."""

    client: str
    form: str
    """What of our server it uses: `mirrorlist`, `metalink`, `redirect`, ..."""
    repository: str
    """The repository that it names."""
    file: str | None
    """Absolute path of the file that it is the content of; None for shell commands."""
    text: str

    @property
    def key(self) -> str:
        """Client and form."""
        return f"{self.client}-{self.form}"

    def filled(self, server: str, repository: str, root: Path) -> str:
        """The text for another server, another repository, and a private root instead of `/`."""
        name = re.compile(rf"(?<=[=/]){re.escape(self.repository)}(?=[/&:.]|$)")
        text = re.sub(
            rf"{re.escape(SERVER)}([^\s'\"]*)", lambda found: server + name.sub(repository, found[1]), self.text
        )
        return text.replace("/etc/", f"{root}/etc/")


def read_page() -> dict[str, Snippet]:
    """All snippets of the page by their keys, in the page's order."""
    snippets: dict[str, Snippet] = {}
    for found in _FENCED.finditer(PAGE.read_text()):
        _, *words = found["info"].split()
        said = dict(word.split("=", 1) for word in words)
        if "client" not in said:
            continue
        snippet = Snippet(said["client"], said["form"], said["repository"], said.get("file"), found["text"])
        assert snippet.key not in snippets, f"{PAGE.name} has two snippets {snippet.key}"
        snippets[snippet.key] = snippet
    return snippets
