"""Lists of mirrors in every format that mirrorlist-fetch reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirrorlistd.fetch.source import (
        Source,
    )

A, B, C = "http://a.example/x/", "https://b.example/x/", "http://c.example:8080/x/"


SHA256 = hashlib.sha256(b"").hexdigest()


SHA512 = hashlib.sha512(b"").hexdigest()


MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()


OLD = hashlib.sha256(b"old").hexdigest()


V3 = f"""<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" generator="mirrormanager"
 xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   <mm0:timestamp>1700000000</mm0:timestamp>
   <size>3000</size>
   <verification>
    <hash type="md5">{MD5}</hash><hash type="sha512">{SHA512}</hash><hash type="sha256">{SHA256}</hash>
   </verification>
   <mm0:alternates>
    <mm0:alternate>
     <mm0:timestamp>1690000000</mm0:timestamp>
     <size>2900</size>
     <verification><hash type="sha256">{OLD}</hash></verification>
    </mm0:alternate>
   </mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="US" preference="100">rsync://a.example/x/repomd.xml</url>
    <url protocol="http" type="http" location="US" preference="99">{A}repomd.xml</url>
    <url protocol="https" type="https" location="DE" preference="100">{B}repomd.xml</url>
    <url protocol="http" type="http">{C}repomd.xml</url>
   </resources>
  </file>
 </files>
</metalink>
""".encode()


V4 = f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
 <file name="hello.deb">
  <size>5</size>
  <hash type="sha-1">{"0" * 40}</hash>
  <hash type="sha-256">{SHA256.upper()}</hash>
  <hash type="tiger">abc</hash>
  <pieces length="2" type="sha-256"><hash>{OLD}</hash></pieces>
  <url location="us">{C}hello.deb</url>
  <url location="de" priority="2">{B}hello.deb</url>
  <url priority="1">{A}hello.deb</url>
  <metaurl mediatype="torrent">{A}hello.torrent</metaurl>
 </file>
</metalink>
""".encode()


def urls(source: Source) -> list[str]:
    """The URLs in the order in which they would be asked."""
    return [mirror.url for mirror in source.mirrors]
