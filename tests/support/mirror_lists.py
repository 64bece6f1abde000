"""Mirror lists in the form of each format that is imported, with invented hosts: format -> file name -> text.

Each has mirrors in six countries (Germany has two), and what is special about its form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from mirrorlist_snapshot.importers import FORMATS, ImportedFile, ImportOptions, import_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorlist_snapshot.importers import Imported

DEBIAN: Final = """\
# Mirrors of an invented archive.

Site: cdn.debian.example
Type: GeoDNS
Archive-architecture: amd64 arm64
Archive-http: /debian/
Sponsor: Example CDN https://cdn.example/

Site: ftp.de.debian.example
Country: DE Germany
Location: Berlin
Archive-architecture: amd64 arm64 riscv64
Archive-http: /debian/
Archive-https: /debian/
Archive-rsync: debian/
CDImage-http: /debian-cd/
Sponsor: First e.V. https://first.example/
Sponsor: Second GmbH https://second.example/
Maintainer: Erika Muster <erika@first.example>
Comment: pushes to other mirrors,
 twice a day
Aliases: debian.first.example

# moved in spring
Site: ftp2.de.debian.example
Country: DE Germany
Archive-architecture: amd64
Archive-http: /pub/debian/

Site: ftp.fr.debian.example
Country: FR France
Archive-architecture: amd64
Archive-http: /debian/

Site: ftp.us.debian.example
Country: US United States
Country: BR Brazil
Archive-architecture: amd64
Archive-http: /debian/

Site: ftp.jp.debian.example
Country: JP Japan
Archive-architecture: amd64
Archive-http: /debian/

Site: ftp.za.debian.example
Country: ZA South Africa
Archive-architecture: amd64
Archive-http: /debian/

Site: security.debian.example
Type: GeoDNS
this line has no colon in it
"""

DEVUAN: Final = """\
FQDN:         de.devuan.example
BaseURL:      de.devuan.example/merged
Bandwidth:    10Gb/s
Rate:         30min
Country:      Germany
CountryCode:  DE | FR
Protocols:    HTTP | HTTPS | RSYNC
Active:       yes
DNSRR:        yes

FQDN:         de2.devuan.example
BaseURL:      de2.devuan.example/devuan
Bandwidth:    a lot
CountryCode:  DE
Protocols:    HTTP
Active:       yes

FQDN:         us.devuan.example
BaseURL:      http://us.devuan.example/devuan
CountryCode:  US
Protocols:    HTTP
Active:       yes

FQDN:         jp.devuan.example
BaseURL:      jp.devuan.example/devuan
CountryCode:  JP
Protocols:    HTTPS
Active:       yes

FQDN:         br.devuan.example
BaseURL:      br.devuan.example/devuan
Country:      Brazil
Protocols:    HTTPS
Active:       yes

FQDN:         za.devuan.example
BaseURL:      za.devuan.example/devuan
CountryCode:  ZA
Protocols:    HTTPS
Active:       no
"""

ALMALINUX_CONFIG: Final = """\
---
versions: ["8", "8.10", "9", "9.8", "10.2"]
optional_module_versions:
  kitten: ["10"]
duplicated_versions: {"8": "8.10", "9": "9.8"}
vault_versions: ["8.3", "9.0"]
vault_mirror: http://vault.alma.example/
required_protocols: [http, https]
repos:
  - name: baseos
    path: BaseOS/$basearch/os/
  - name: crb
    path: CRB/$basearch/os/
    versions: ["9.8"]
  - name: baseos-source
    path: BaseOS/Source/
    vault: true
"""

ALMALINUX: Final = {
    "config.yml": ALMALINUX_CONFIG,
    "mirrors.d/de1.alma.example.yml": """\
---
name: de1.alma.example
# the university moves in autumn
address:
  http: http://de1.alma.example/almalinux/
  https: https://de1.alma.example/almalinux
  rsync: rsync://de1.alma.example/almalinux/
address_optional:
  kitten:
    https: https://de1.alma.example/almalinux-kitten/
geolocation:
  country: DE
  state_province: Hesse
  city: Kassel
update_frequency: 3h
sponsor: Example University
sponsor_url: https://university.example
email: mirror@university.example
asn: AS64500
...
""",
    "mirrors.d/de2.alma.example.yml": """\
name: de2.alma.example
address: {https: "https://de2.alma.example/"}
geolocation: {country: DE}
update_frequency: 6h
sponsor: A Company
sponsor_url: https://company.example
email: root@company.example
private: true
monopoly: true
subnets: [192.0.2.0/25, 198.51.100.0/25, 2001:db8:5::/48]
""",
    "mirrors.d/fr.alma.example.yml": """\
name: fr.alma.example
address: {http: "http://fr.alma.example/alma/"}
geolocation: {country: FR}
subnets: https://cloud.example/networks.json
cloud_type: aws
cloud_regions: eu-west-3
colour: blue
""",
    "mirrors.d/uk.alma.example.yml": """\
name: uk.alma.example
address: {http: "http://uk.alma.example/alma/"}
geolocation: {country: UK}
""",
    "mirrors.d/us.alma.example.yml": """\
name: us.alma.example
address: {http: "http://us.alma.example/alma/", ftp: "ftp://someone@us.alma.example/"}
geolocation: {country: US}
""",
    "mirrors.d/jp.alma.example.yml": """\
name: jp.alma.example
address: {http: "http://jp.alma.example/alma/"}
geolocation: {country: JP}
""",
    "mirrors.d/br.alma.example.yml": """\
name: br.alma.example
address: {http: "http://br.alma.example/alma/"}
geolocation: {country: br}
""",
    "mirrors.d/za.alma.example.yml": """\
name: za.alma.example
address: {http: "http://za.alma.example/alma/"}
geolocation: {continent: Africa}
""",
}

CSV: Final = """\
Organisation;Address;CC;Mbit/s;Mail;Kind
Alpha;https://de1.table.example/pub/;de;10000;a@alpha.example;university
Beta;http://de1.table.example/pub/;DE;;;
Gamma;https://de2.table.example/;Germany;1G;;
Delta;https://fr.table.example/mirror/;FRA;;;
Epsilon;https://us.table.example/mirror/;United States;;;
Zeta;https://jp.table.example/mirror/;JP;;;
Eta;https://br.table.example/mirror/;Brazil;;;
Theta;https://za.table.example/mirror/;South Africa;very fast;;
Iota;not a url;XX;;;
"""

JSON: Final = """\
{
  "generated": "today",
  "mirrors": [
    {"id": "de1", "geo": {"code": "DE", "at": "Köln"}, "https": "de1.json.example/x/", "rsync": "de1.json.example::x"},
    {"id": "de2", "geo": {"code": "DE"}, "https": "https://de2.json.example/", "active": true,
     "asn": ["AS64500", 64501]},
    {"id": "fr", "geo": {"code": "FR"}, "https": "https://fr.json.example/"},
    {"id": "us", "geo": {"code": "US"}, "https": "https://us.json.example/"},
    {"id": "jp", "geo": {"code": "JP"}, "https": "https://jp.json.example/"},
    {"id": "br", "geo": {"code": "BR"}, "https": "https://br.json.example/", "active": "perhaps"},
    {"id": "za", "geo": {"code": "ZA"}, "https": "https://za.json.example/", "active": false}
  ]
}
"""

URLS: Final = """\
# one a line
https://one.urls.example/pub/
http://one.urls.example/pub/   # the same host
https://two.urls.example/
"""

PACMAN: Final = """\
##
## An invented distribution's mirrorlist
## Generated on some day
##

## Worldwide
#Server = https://geo.pacman.example/$repo/os/$arch

## Country : Germany
#Server = http://de1.pacman.example/arch/$repo/os/$arch
#Server = https://de1.pacman.example/arch/$repo/os/$arch
#Server = https://de2.pacman.example/$repo/os/$arch

## France
#Server = https://fr.pacman.example/$repo/os/$arch
## United States
#Server = https://us.pacman.example/$repo/os/$arch
## Example University (Tokyo, Japan)
#Server = https://jp.pacman.example/$repo/os/$arch
## Brazil
#Server = https://br.pacman.example/$repo/os/$arch
## South Africa
#Server = https://za.pacman.example/$repo/os/$arch
## Tier 1
#Server = https://tier.pacman.example/$repo/os/$arch
"""

ARCH_STATUS: Final = """\
{"cutoff": 86400, "version": 3, "urls": [
 {"url": "https://geo.arch.example/", "protocol": "https", "country": "", "country_code": "", "active": true,
  "last_sync": "2020-01-01T00:00:00Z", "completion_pct": 1.0, "delay": 0, "score": 0.1, "ipv4": true, "ipv6": true},
 {"url": "http://de1.arch.example/arch/", "protocol": "http", "country": "Germany", "country_code": "DE",
  "active": true, "ipv4": true, "ipv6": false},
 {"url": "https://de1.arch.example/arch/", "protocol": "https", "country": "Germany", "country_code": "DE",
  "active": true, "ipv4": true, "ipv6": false},
 {"url": "rsync://de1.arch.example/module/", "protocol": "rsync", "country": "Germany", "country_code": "DE",
  "active": true, "ipv4": true, "ipv6": false},
 {"url": "https://de2.arch.example/", "protocol": "https", "country_code": "DE", "active": true},
 {"url": "https://fr.arch.example/", "protocol": "https", "country_code": "FR", "active": true},
 {"url": "https://us.arch.example/", "protocol": "https", "country_code": "US", "active": true},
 {"url": "https://jp.arch.example/", "protocol": "https", "country_code": "JP", "active": true},
 {"url": "https://br.arch.example/", "protocol": "https", "country_code": "BR", "active": false},
 {"url": "https://za.arch.example/", "protocol": "https", "country_code": "ZA", "active": true}
]}
"""

MIRRORBITS: Final = """\
Name: de1.bits.example
HttpURL: de1.bits.example/pub/
RsyncURL: rsync://de1.bits.example/pub
FtpURL: ""
SponsorName: Example e.V.
SponsorURL: https://first.example/
SponsorLogoURL: https://first.example/logo.svg
AdminName: Erika
AdminEmail: erika@first.example
CustomData: ""
ContinentOnly: false
CountryOnly: false
ASOnly: false
Score: 50
Latitude: 52.5
Longitude: 13.4
ContinentCode: EU
CountryCodes: DE FR
ExcludedCountryCodes: RU
ASNum: 64500
Enabled: true
AllowRedirects: ""

Comment:
asked for by mail: nothing:
Name: de2.bits.example
HttpURL: https://de2.bits.example/
ContinentOnly: true
ContinentCode: EU
CountryCodes: DE
Enabled: true
Name: us.bits.example
HttpURL: http://us.bits.example/
CountryOnly: true
CountryCodes: US
Enabled: true
Name: jp.bits.example
HttpURL: https://jp.bits.example/
CountryCodes: JP
Enabled: true
AllowRedirects: "true"
Name: br.bits.example
HttpURL: https://br.bits.example/
ASOnly: true
ASNum: 64501
CountryCodes: BR
Enabled: true
Name: za.bits.example
HttpURL: https://za.bits.example/
CountryCodes: ZA
Enabled: false
"""

MIRRORBRAIN: Final = """\
--
-- PostgreSQL database dump
--
SET standard_conforming_strings = on;
INSERT INTO server (
  identifier, baseurl, baseurl_ftp, baseurl_rsync, enabled, status_baseurl,
  region, country, asn, prefix,
  score, comment, operator_name, operator_url, public_notes,
  admin, admin_email, lat, lng,
  country_only, region_only, as_only, prefix_only,
  other_countries, file_maxsize, scan_fpm)
VALUES (
  'de1.brain.example', 'http://de1.brain.example/pub/', '', 'rsync://de1.brain.example/pub', 'True', 'True',
  'eu', 'de', '64500', '203.0.113.0/25',
  '100', $QUOTE$it's old; (see below)$QUOTE$, $QUOTE$First e.V.$QUOTE$, 'https://first.example/', $QUOTE$$QUOTE$,
  $QUOTE$Erika$QUOTE$, $QUOTE$erika@first.example$QUOTE$, '52.5', '13.4',
  'False', 'False', 'False', 'False',
  'fr', '0', '0');
INSERT INTO server (identifier, baseurl, country, enabled, asn, lat, public_notes)
VALUES ('it.brain.example', 'http://it.brain.example/', 'it', true, 0, NULL, NULL);
COPY public.server (id, identifier, baseurl, enabled, region, country, asn, prefix, score, comment, country_only, \
region_only, as_only, prefix_only, other_countries, file_maxsize) FROM stdin;
2	de2.brain.example	https://de2.brain.example/	t	eu	de	0	-	50	a\\ttab	f	t	f	f		0
3	us.brain.example	https://us.brain.example/	t	na	us	0	-	100	\\N	t	f	f	f		0
4	jp.brain.example	https://jp.brain.example/	t	as	jp	0	-	100		f	f	f	f		700000000
5	br.brain.example	https://br.brain.example/	t	sa	br	64501	-	100		f	f	t	f		0
6	za.brain.example	https://za.brain.example/	f	af	za	0	-	100		f	f	f	f		0
7	world.brain.example	https://world.brain.example/	t		**	0	-	100		f	f	f	f		0
8	short row
\\.
"""

MIRRORCACHE: Final = """\
[
 {"id": 1, "hostname": "de1.cache.example", "urldir": "/pub", "enabled": true, "region": "eu", "country": "de",
  "score": 100, "lat": "52.5", "lng": "13.4", "sponsor": "First e.V.", "sponsor_url": "https://first.example/"},
 {"id": 2, "hostname": "de2.cache.example", "urldir": "", "enabled": true, "region": "eu", "country": "de"},
 {"id": 3, "hostname": "fr.cache.example", "urldir": "", "enabled": 1, "region": "eu", "country": "fr"},
 {"id": 4, "hostname": "us.cache.example", "hostname_vpn": "us.vpn.example", "urldir": "", "enabled": true,
  "region": "na", "country": "us"},
 {"id": 5, "hostname": "jp.cache.example", "urldir": "", "enabled": true, "region": "as", "country": "jp"},
 {"id": 6, "hostname": "br.cache.example", "urldir": "", "enabled": false, "region": "sa", "country": "br"},
 {"id": 7, "hostname": "za.cache.example", "urldir": "", "enabled": true, "region": "af", "country": ""}
]
"""

MIRRORCACHE_SQL: Final = """\
insert into server(hostname,urldir,enabled,country,region) select 'pl.cache.example','/opensuse','t','pl','eu';
insert into server(hostname,urldir,enabled,country,region) select 'it.cache.example','/','t','it';
"""

GENTOO: Final = """\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE mirrors SYSTEM "https://gentoo.example/mirrors.dtd">
<mirrors>
  <mirrorgroup region="Europe" country="DE" countryname="Germany">
    <mirror city="Berlin" coordinates="52.5,13.4">
      <name>First &amp; Second e.V.</name>
      <uri protocol="http" ipv4="y" ipv6="n" partial="n">http://de1.gentoo.example/gentoo/</uri>
      <uri protocol="https" ipv4="y" ipv6="n" partial="n">https://de1.gentoo.example/gentoo/</uri>
      <uri protocol="rsync" ipv4="y" ipv6="n" partial="n">rsync://rsync.gentoo.example/gentoo</uri>
    </mirror>
    <mirror>
      <name>Third</name>
      <uri protocol="http" ipv4="y" ipv6="y" partial="y">http://de2.gentoo.example/</uri>
      <uri protocol="http" ipv4="n" ipv6="y" partial="n">http://v6.de2.gentoo.example/</uri>
    </mirror>
  </mirrorgroup>
  <mirrorgroup region="Europe" country="FR" countryname="France">
    <mirror><name>F</name><uri protocol="https" ipv4="y" ipv6="y">https://fr.gentoo.example/</uri></mirror>
    <mirror><name>Anycast</name><uri protocol="https" ipv4="y" ipv6="y">https://both.gentoo.example/</uri></mirror>
  </mirrorgroup>
  <mirrorgroup region="North America" country="US" countryname="United States (USA)">
    <mirror><name>U</name><uri protocol="https" ipv4="y" ipv6="y">https://us.gentoo.example/</uri></mirror>
    <mirror><name>Anycast</name><uri protocol="https" ipv4="y" ipv6="y">https://both.gentoo.example/</uri></mirror>
  </mirrorgroup>
  <mirrorgroup region="Asia" country="JP" countryname="Japan">
    <mirror><name>J</name><uri protocol="https" ipv4="y" ipv6="y">https://jp.gentoo.example/</uri></mirror>
  </mirrorgroup>
  <mirrorgroup region="South America" country="" countryname="Brazil">
    <mirror><name>B</name><uri protocol="https" ipv4="y" ipv6="y">https://br.gentoo.example/</uri></mirror>
  </mirrorgroup>
  <mirrorgroup region="Africa" country="" countryname="">
    <mirror><name>Z</name><uri protocol="https" ipv4="y" ipv6="y">https://za.gentoo.example/</uri></mirror>
    <mirror><name>without an address</name></mirror>
  </mirrorgroup>
</mirrors>
"""

CENTOS_GROUPS: Final = """\
{
"de":["de","fr","us"],
"fr":["fr","de","uk"],
"za":["za","c9","br"],
"c1":[""],
"zz":["de"]
}
"""

CENTOS_CSV: Final = """\
"Region","Country","Location","Sponsor","HTTP mirror link","HTTPS mirror link","rsync location"
"EU","Germany","Berlin","Alpha","http://de1.centos.example/","https://de1.centos.example/","rsync://de1.centos.example/c"
"EU","Germany","","Beta","http://de2.centos.example/","",""
"EU","France","","Gamma","http://fr.centos.example/","",""
"US","United States","TX","Delta","http://us.centos.example/","",""
"Asia","Japan","","Epsilon","http://jp.centos.example/","",""
"South America","Brazil","","Zeta","http://br.centos.example/","",""
"Africa","","","Eta","http://za.centos.example/","",""
"""

CPAN: Final = """\
# hostname:
#   dst_http = "..."

de1.cpan.example:
  frequency        = "daily"
  dst_ftp          = "ftp://de1.cpan.example:/pub/CPAN/"
  dst_http         = "http://de1.cpan.example/CPAN/"
  dst_rsync        = "de1.cpan.example::CPAN"
  dst_location     = "Berlin, Germany, Europe (52.5 13.4)"
  dst_organisation = "First e.V."
  dst_timezone     = "+1"
  dst_bandwidth    = "10Gbps"
  dst_contact      = "erika#first.example"
  dst_src          = "cpan.example"

# dst_contact      = "mailto:nobody@first.example"

de2.cpan.example:
  dst_directory    = "de2.cpan.example:/CPAN/"
  dst_http         = "http://de2.cpan.example/"
  dst_location     = "Mainz, Rhineland, Germany, Europe (50 8.25)"
  dst_bandwidth    = "T3"

us.cpan.example
  dst_http         = "http://us.cpan.example/"
  dst_location     = "Atlanta, Georgia, United States, North America (33.7 -84.4)"
  dst_bandwidth    = "enough"

jp.cpan.example:
  dst_http         = "http://jp.cpan.example/"
  dst_location     = "Tokyo, Japan, Asia (35.7 139.7)"

br.cpan.example:
  dst_http         = "http://br.cpan.example/"
  dst_location     = "Rio, Brazil, South America"
  what is this

za.cpan.example:
  dst_http         = "http://za.cpan.example/"
  dst_location     = "Everywhere, Global, Global (0 0)"
"""

CPAN_JSON: Final = """\
[{"name": "fr.cpan.example", "ccode": "fr", "country": "France", "http": "http://fr.cpan.example/CPAN/",
  "rsync": "", "org": "Troisième", "latitude": "48.8", "longitude": "2.3", "city": "Paris"}]
"""

CRAN: Final = """\
Name,Country,City,URL,Host,Maintainer,OK,CountryCode,Comment
"0-Cloud [https]",0-Cloud,0-Cloud,https://cloud.cran.example/,"Redirection worldwide","x # cran.example",1,us,""
"Germany (Berlin)",Germany,Berlin,https://de1.cran.example/,"First e.V.","Erika <erika # first.example>",1,de,"pushed"
"Germany (Mainz)",Germany,Mainz,https://de2.cran.example/,"Second, GmbH","m",1,de,
"France (Lyon)",France,Lyon,https://fr.cran.example/,"Third","m",1,fr,
"USA (CA)",USA,"Los Angeles",https://us.cran.example/,"Fourth","m",1,us,
"Japan",Japan,Tokyo,https://jp.cran.example/,"Fifth","m",1,jp,
"Brazil",Brazil,Rio,https://br.cran.example/,"Sixth","m",0,br,
"South Africa","South Africa",Cape Town,https://za.cran.example/,"Seventh","m",1,za,
"""

ALPINE: Final = """\
- name: First e.V.
  location: Berlin, Germany
  bandwidth: 10 Gbit/s
  urls:
    - https://de1.alpine.example/alpine/
    - http://de1.alpine.example/alpine/
    - rsync://de1.alpine.example/module/
- {name: Second, location: Germany, bandwidth: 1 Gbit/s, urls: ["http://de2.alpine.example/"]}
- {name: Third, location: France, bandwidth: unlimited, urls: ["http://fr.alpine.example/"]}
- {name: Fourth, location: US, urls: ["http://us.alpine.example/"]}
- {name: Fifth, location: Japan, urls: ["http://jp.alpine.example/"]}
- {name: Sixth, location: Brazil, urls: ["http://br.alpine.example/"]}
- {name: Seventh, location: Global CDN, urls: ["http://cdn.alpine.example/"]}
"""

UBUNTU: Final = """\
<?xml version="1.0" encoding="utf-8"?>
<rss xmlns:mirror="https://launchpad.example/" version="2.0"><channel>
<title>Mirrors</title><link>https://launchpad.example/mirrors</link>
<item><title>First e.V.</title><link>http://de1.ubuntu.example/ubuntu/</link><description>
</description><mirror:bandwidth>110</mirror:bandwidth><mirror:location><mirror:continent>Europe</mirror:continent>
<mirror:country>Germany</mirror:country><mirror:countrycode>DE</mirror:countrycode></mirror:location>
<guid>http://de1.ubuntu.example/ubuntu/</guid></item>
<item><title>Second</title><link>https://de2.ubuntu.example/</link><mirror:bandwidth>75</mirror:bandwidth>
<mirror:location><mirror:countrycode>DE</mirror:countrycode></mirror:location></item>
<item><title>F</title><link>https://fr.ubuntu.example/</link><mirror:bandwidth>80</mirror:bandwidth>
<mirror:location><mirror:countrycode>FR</mirror:countrycode></mirror:location></item>
<item><title>U</title><link>https://us.ubuntu.example/</link><mirror:bandwidth>80</mirror:bandwidth>
<mirror:location><mirror:countrycode>US</mirror:countrycode></mirror:location></item>
<item><title>J</title><link>https://jp.ubuntu.example/</link><mirror:bandwidth>70</mirror:bandwidth>
<mirror:location><mirror:countrycode>JP</mirror:countrycode></mirror:location></item>
<item><title>B</title><link>https://br.ubuntu.example/</link><mirror:bandwidth>70</mirror:bandwidth>
<mirror:location><mirror:countrycode>BR</mirror:countrycode></mirror:location></item>
<item><title>Z</title><link>https://za.ubuntu.example/</link><mirror:bandwidth>70</mirror:bandwidth>
<mirror:location><mirror:countrycode>ZA</mirror:countrycode></mirror:location></item>
</channel></rss>
"""

MIRMON: Final = """\
# a list for mirmon
de  http://de1.mirmon.example/pub/  erika@first.example
de  https://de1.mirmon.example/pub/ erika@first.example
de\thttp://de2.mirmon.example/
http fr https://fr.mirmon.example/ root@fr.mirmon.example
us http://us.mirmon.example/
uk http://uk.mirmon.example/
jp http://jp.mirmon.example/
br http://br.mirmon.example/
za http://za.mirmon.example/
what
"""

LISTS: Final[dict[str, dict[str, str]]] = {
    "debian": {"Mirrors.masterlist": DEBIAN},
    "devuan": {"mirror_list.txt": DEVUAN},
    "almalinux": ALMALINUX,
    "csv": {"table.csv": CSV},
    "json": {"table.json": JSON},
    "urls": {"urls.txt": URLS},
    "pacman": {"mirrorlist": PACMAN},
    "arch-status": {"status.json": ARCH_STATUS},
    "mirrorbits": {"mirrors.txt": MIRRORBITS},
    "mirrorbrain": {"server.sql": MIRRORBRAIN},
    "mirrorcache": {"servers.json": MIRRORCACHE, "servers.sql": MIRRORCACHE_SQL},
    "gentoo": {"distfiles.xml": GENTOO},
    "centos": {"ccgroups.json": CENTOS_GROUPS, "mirrors.csv": CENTOS_CSV},
    "cpan": {"MIRRORED.BY": CPAN, "mirrors.json": CPAN_JSON},
    "cran": {"CRAN_mirrors.csv": CRAN},
    "alpine": {"mirrors.yaml": ALPINE},
    "ubuntu": {"mirrors.rss": UBUNTU},
    "mirmon": {"list.txt": MIRMON},
}
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "csv": {"url": "Address", "country": "CC", "contact": "Mail", "bandwidth": "Mbit/s"},
    "json": {"country": "geo.code"},
}
"""What the user must say about the tables."""


def imported(
    kind: str,
    files: Mapping[str, str | bytes] | None = None,
    *,
    category: str = "",
    country: str = "",
    columns: dict[str, str] | None = None,
) -> Imported:
    """Import a list; by default the one above, in its order of files."""
    texts: Mapping[str, str | bytes] = LISTS[kind] if files is None else files
    read = [ImportedFile(name, text.encode() if isinstance(text, str) else text) for name, text in texts.items()]
    chosen = COLUMNS.get(kind, {}) if columns is None else columns
    options = ImportOptions(category=category or FORMATS[kind].category, country=country, columns=chosen)
    return import_list(FORMATS[kind], read, options)


def source_of(found: Imported) -> dict[str, Any]:
    """What was imported, as one source document."""
    whole: dict[str, Any] = {}
    for document in found.documents:
        for section, records in cast("dict[str, dict[str, Any]]", document.data).items():
            whole.setdefault(section, {}).update(records)
    return whole


def lines_of(found: Imported) -> list[str]:
    """The lines about what is not taken."""
    return [str(complaint) for complaint in found.not_taken]
