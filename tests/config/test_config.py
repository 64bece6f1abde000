"""One table of options: flags, variables, file and documentation agree, and every mistake is reported."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorlistd.config import (
    ENV_PREFIX,
    OPTIONS,
    Config,
    Option,
    add_arguments,
    changed_needing_restart,
    load_config,
    options_table,
)
from mirrorlistd.errors import ConfigError
from support.paths import ROOT

# For each option: a text that it accepts, the same in TOML, and the value that both mean.
SAMPLES: dict[str, tuple[str, str, object]] = {
    "config": ("/c.toml", "", Path("/c.toml")),
    "snapshot": ("/s.mls", '"/s.mls"', Path("/s.mls")),
    "pull": ("s3://bucket/m.mls", '"s3://bucket/m.mls"', "s3://bucket/m.mls"),
    "every": ("30", "30", 30.0),
    "pull_redirects": ("CDN.example.org:8443", '["cdn.example.org:8443"]', ("cdn.example.org:8443",)),
    "state_dir": ("/var/lib/m", '"/var/lib/m"', Path("/var/lib/m")),
    "geo": ("/g.mmdb", '"/g.mmdb"', Path("/g.mmdb")),
    "asn": ("/a.mmdb", '"/a.mmdb"', Path("/a.mmdb")),
    "status": ("/s.toml", '"/s.toml"', Path("/s.toml")),
    "max_down": ("60.5", "60.5", 60.5),
    "trusted_keys": ("/k.pub", '["/k.pub"]', (Path("/k.pub"),)),
    "max_loss": ("100", "100", 100.0),
    "max_age": ("86400", "86400", 86_400.0),
    "watch": ("yes", "true", True),
    "demo": ("yes", "true", True),
    "hosts": ("0.0.0.0", '"0.0.0.0"', ("0.0.0.0",)),
    "port": ("80", "80", 80),
    "uds": ("/run/m.sock", '"/run/m.sock"', Path("/run/m.sock")),
    "uds_mode": ("0666", '"666"', 0o666),
    "backlog": ("7", "7", 7),
    "keep_alive": ("2.5", "2.5", 2.5),
    "lane": ("asgi", '"asgi"', "asgi"),
    "trusted_proxies": ("10.0.0.0/8", '["10.0.0.0/8"]', ("10.0.0.0/8",)),
    "forwarded_header": ("X-Real-IP", '"X-Real-IP"', "x-real-ip"),
    "nat64_prefixes": ("2001:db8:64::/96", '["2001:db8:64::/96"]', ("2001:db8:64::/96",)),
    "explain_networks": ("192.0.2.7", '"192.0.2.7"', ("192.0.2.7/32",)),
    "minimum": ("0", "0", 0),
    "sticky": ("0.5", "0.5", 0.5),
    "redirect_scheme": ("https", '"https"', "https"),
    "public_url": ("https://mirrors.example.org/", '"https://mirrors.example.org"', "https://mirrors.example.org"),
    "pacman_layout": ("/$arch/$repo/", '"$arch/$repo"', "$arch/$repo"),
    "url_templates": (
        "/{v}/{repo}->repo={repo}-{v}",
        '["/{v}/{repo} -> repo={repo}-{v}"]',
        ("/{v}/{repo}->repo={repo}-{v}",),
    ),
    "limit": ("100", "100", 100),
    "statistics": ("/s.log", '"/s.log"', Path("/s.log")),
    "statistics_addresses": ("no", "false", False),
    "mirrormanager": ("/mm", '"/mm"', Path("/mm")),
    "preset": ("MirrorManager", '"mirrormanager"', "mirrormanager"),
    "original_statuses": ("yes", "true", True),
    "access_log": ("ON", "true", True),
    "count_countries": ("yes", "true", True),
    "log_format": ("JSON", '"json"', "json"),
    "log_level": ("debug", '"debug"', "debug"),
    "drain": ("30", "30", 30.0),
    "workers": ("AUTO", '"auto"', 0),
    "pid_file": ("/run/m.pid", '"/run/m.pid"', Path("/run/m.pid")),
}

ids = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.field)


def parse(*args: str) -> argparse.Namespace:
    """Parse flags as the program does."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return parser.parse_args(args)


def problems_of(*args: str, environ: dict[str, str] | None = None, toml: Path | None = None) -> tuple[str, ...]:
    """Load, and give the lines of the error that this must raise."""
    with pytest.raises(ConfigError) as caught:
        load_config(parse(*args), environ or {}, toml)
    return caught.value.problems


def problems_or_none(flags: dict[str, str], toml: Path | None) -> tuple[str, ...] | None:
    """Load: None where that works, else the lines of the error, at least one."""
    try:
        load_config(flags, {}, toml)
    except ConfigError as error:
        return error.problems or ("an error without a problem\n",)
    return None


def written(folder: Path, text: str) -> Path:
    """Write a TOML file."""
    file = folder / "m.toml"
    file.write_text(text)
    return file


def test_the_table_is_complete() -> None:
    """Every field of Config is an option, every option a field, and none comes twice."""
    fields = [field.name for field in dataclasses.fields(Config)]
    assert sorted(option.field for option in OPTIONS) == sorted(fields) == sorted(SAMPLES)
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)


def test_groups_are_not_torn() -> None:
    """Options of a group stand together, so that `--help` has each heading once."""
    headings = [option.group for option in OPTIONS]
    assert sorted(set(headings), key=headings.index) == [
        heading for i, heading in enumerate(headings) if i == 0 or headings[i - 1] != heading
    ]


def test_nothing_set_gives_the_defaults() -> None:
    """Without flags, variables and file the configuration is Config's own defaults."""
    assert load_config(parse(), {}) == Config()


@ids
def test_a_default_in_words_means_the_default(option: Option) -> None:
    """What `--help` and README name as the default is accepted and changes nothing."""
    if option.default:
        assert load_config({}, {option.variable: option.default}) == Config()


@ids
def test_three_sources_mean_the_same(option: Option, tmp_path: Path) -> None:
    """A flag, a variable and a key with the same value give the same configuration."""
    text, toml, value = SAMPLES[option.field]
    if option.field == "config":
        Path(text := str(written(tmp_path, ""))).touch()
        value = Path(text)
    switches = {True: option.flag, False: f"--no-{option.name}"}
    args = [switches[value]] if isinstance(value, bool) else [option.flag, text]
    needed = {"MIRRORLISTD_STATE_DIR": "/state"} if option.field in ("pull", "mirrormanager") else {}
    from_flag = load_config(parse(*args), needed)
    assert getattr(from_flag, option.field) == value
    assert load_config({}, needed | {option.variable: text}) == from_flag
    if option.in_file:
        from_file = load_config({}, needed, written(tmp_path, f"{option.name} = {toml}\n"))
        assert dataclasses.replace(from_file, config=None) == from_flag


def test_a_flag_wins_over_a_variable_over_the_file(tmp_path: Path) -> None:
    """Precedence is flag, variable, file, default."""
    file = written(tmp_path, "limit = 1\nminimum = 1\nport = 1\n")
    environ = {"MIRRORLISTD_CONFIG": str(file), "MIRRORLISTD_LIMIT": "2", "MIRRORLISTD_MINIMUM": "2"}
    found = load_config(parse("--limit", "3"), environ)
    assert (found.limit, found.minimum, found.port, found.backlog) == (3, 2, 1, 2048)
    assert found.config == file


def test_a_switch_can_be_switched_back() -> None:
    """`--no-demo` wins over a variable that says true."""
    assert load_config(parse("--no-demo"), {"MIRRORLISTD_DEMO": "1"}).demo is False


def test_lists(tmp_path: Path) -> None:
    """Flags repeat, variables split at commas and spaces, TOML has lists; what comes twice counts once."""
    want = ("10.0.0.0/8", "2001:db8::/32", "unix")
    args = [item for network in (*want, "10.0.0.0/8") for item in ("--trusted-proxy", network)]
    assert load_config(parse(*args), {}).trusted_proxies == want
    environ = {"MIRRORLISTD_TRUSTED_PROXY": " 10.0.0.0/8, 2001:DB8::/32  UNIX,"}
    assert load_config({}, environ).trusted_proxies == want
    file = written(tmp_path, 'trusted-proxy = ["10.0.0.0/8", "2001:db8::/32", "unix"]')
    assert load_config({}, {}, file).trusted_proxies == want


@pytest.mark.parametrize("toml", ["explain-network = []", 'explain-network = "none"'])
def test_a_list_can_be_emptied(toml: str, tmp_path: Path) -> None:
    """`none`, or in TOML an empty list, takes a list's default away."""
    assert load_config({}, {}, written(tmp_path, toml)).explain_networks == ()
    assert load_config(parse("--explain-network", "none"), {}).explain_networks == ()


def test_a_unix_socket_replaces_the_default_address_only() -> None:
    """`--uds` alone means no TCP; with an explicit address there are both; nowhere to listen is a mistake."""
    assert load_config(parse("--uds", "/s"), {}).hosts == ()
    assert load_config(parse("--uds", "/s", "--host", "::1"), {}).hosts == ("::1",)
    assert "listen nowhere" in problems_of("--host", "none")[0]


def test_paths_of_the_file_start_at_the_file(tmp_path: Path) -> None:
    """A relative path in TOML is relative to the TOML file, one in a flag to the working directory."""
    file = written(tmp_path, 'snapshot = "a/s.mls"\ngeo = "/g.mmdb"\n')
    found = load_config(parse("--asn", "a.mmdb"), {}, file)
    assert (found.snapshot, found.geo, found.asn) == (
        tmp_path / "a/s.mls",
        Path("/g.mmdb"),
        Path("a.mmdb"),
    )


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Each mistake of each source is named with its flag, variable, or file, line and key, in one error."""
    file = written(tmp_path, 'port = "80"\nlimits = 3\ndemo = 1\n[table]\nx = 1\n')
    environ = {"MIRRORLISTD_LIMIT": "0", "MIRRORLISTD_TRUSTED_PROXIES": "unix", "PATH": "/bin"}
    problems = problems_of("--port", "65536", "--host", "localhost", environ=environ, toml=file)
    assert problems == (
        "--host: expected an address such as 127.0.0.1 or :: (no name, no port), or none; found 'localhost'",
        "--port: expected a whole number from 0 to 65535; found '65536'",
        "MIRRORLISTD_LIMIT: expected a whole number from 1 to 100; found '0'",
        "MIRRORLISTD_TRUSTED_PROXIES: no such variable; did you mean MIRRORLISTD_TRUSTED_PROXY?",
        f"{file}:1: port: expected a whole number from 0 to 65535; found '80'",
        f"{file}:2: limits: no such key; did you mean limit?",
        f"{file}:3: demo: expected true or false; found 1",
        f"{file}:4: table: no such key; `mirrorlistd serve --help` lists them all",
    )


def test_an_overridden_mistake_is_a_mistake() -> None:
    """A wrong variable is reported even where a flag would win over it."""
    assert problems_of("--port", "1", environ={"MIRRORLISTD_PORT": "x"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "-1"),
        ("port", "1_0"),
        ("port", "٣"),
        ("limit", "101"),
        ("limit", "1.0"),
        ("drain", "nan"),
        ("drain", "inf"),
        ("drain", "-1"),
        ("host", "[::1]"),
        ("host", "127.0.0.1:80"),
        ("trusted-proxy", "10.0.0.1/8"),
        ("trusted-proxy", "*"),
        ("explain-network", "unix"),
        ("forwarded-header", "x forwarded"),
        ("forwarded-header", "Forwarded"),
        ("log-level", "loud"),
        ("log-format", "xml"),
        ("snapshot", ""),
        ("uds", "a\0b"),
    ],
)
def test_values_that_are_not_allowed(name: str, text: str) -> None:
    """Out of range, not a number, not an address, not a header: one problem that names the flag."""
    (problem,) = problems_of(f"--{name}={text}")
    assert problem.startswith(f"--{name}: expected ")


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ("port = 80.0", "port"),
        ("limit = true", "limit"),
        ("geo = 1", "geo"),
        ("host = [1]", "host"),
        ("host = {a = 1}", "host"),
        ("drain = '1'", "drain"),
        ("snapshot = ['a']", "snapshot"),
        pytest.param(f"limit = 0x{5000 * 'f'}", "limit", id="unwritten"),
        pytest.param(f"geo = [0x{5000 * 'f'}]", "geo", id="unwritten in a list"),
    ],
)
def test_types_of_the_file(toml: str, key: str, tmp_path: Path) -> None:
    """A TOML value of the wrong type is a mistake, however near it looks."""
    file = written(tmp_path, toml)
    (problem,) = problems_of(toml=file)
    assert problem.startswith(f"{file}:1: {key}: expected ")


@pytest.mark.parametrize(
    "content",
    [b"port = ", b"\xff\xfe", b"port = 1\nport = 2", b"port = " + 5000 * b"9", b"port = " + 5000 * b"["],
    ids=["nothing", "bytes", "twice", "digits", "depth"],
)
def test_a_file_that_is_not_toml(content: bytes, tmp_path: Path) -> None:
    """A broken file is one problem that names the file; the other sources are judged all the same."""
    file = tmp_path / "m.toml"
    file.write_bytes(content)
    problems = problems_of("--port", "x", toml=file)
    assert len(problems) == 2
    assert re.match(re.escape(str(file)) + "(:[12])?: expected TOML in UTF-8[;,] ", problems[1])
    assert "codec" not in problems[1]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe that nobody writes to, a file of another purpose's size: refused at once."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(1 << 30)
    for name, found in {
        "none.toml": "cannot be read: No such file",
        ".": "is not a regular file but a folder",
        "pipe": "is not a regular file but a pipe",
        "large": "has 1073741824 bytes, more than",
    }.items():
        (problem,) = problems_of("--config", str(tmp_path / name))
        assert problem.startswith(f"--config: {tmp_path / name}: {found}")


@pytest.mark.slow
def test_many_mistakes_take_no_long_time(tmp_path: Path) -> None:
    """Each mistake is found at its line; hints, which take time, are for the first ones only."""
    file = written(tmp_path, "".join(f"mistake_{number} = 1\n" for number in range(40_000)))
    started = time.process_time()
    problems = problems_of(toml=file)
    assert len(problems) == 40_000
    assert problems[-1].startswith(f"{file}:40000: mistake_39999: no such key")
    assert time.process_time() - started < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 20_000) + " = 1",
        "[" + ".".join(["a"] * 20_000) + "]",
        "port = " + "[" * 100_000,
        "port = " + "9" * 100_000,
        "a" * 500_000 + " = 1",
        "port = '" + "a" * 500_000 + "'",
        'host = ["' + "a" * 500_000 + '"]',
    ],
    ids=["key", "header", "arrays", "number", "a long key", "a long value", "a long item"],
)
def test_no_file_takes_time_or_memory_out_of_proportion(tmp_path: Path, text: str) -> None:
    """Each is refused with a short message, in little time and memory."""
    file = tmp_path / "m.toml"
    file.write_text(text)
    tracemalloc.start()
    try:
        problems = problems_of(toml=file)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert 0 < len("\n".join(problems)) < 500


def test_an_empty_variable_is_absent() -> None:
    """What a template leaves behind when there is nothing to say is no mistake."""
    assert load_config({}, {option.variable: " " for option in OPTIONS}) == Config()


def test_kubernetes_variables_are_not_ours() -> None:
    """A Kubernetes service called mirrorlistd puts its own MIRRORLISTD_* variables into every pod."""
    environ = {
        "MIRRORLISTD_SERVICE_HOST": "10.96.0.7",
        "MIRRORLISTD_SERVICE_PORT": "80",
        "MIRRORLISTD_SERVICE_PORT_HTTP": "80",
        "MIRRORLISTD_PORT": "tcp://10.96.0.7:80",
        "MIRRORLISTD_PORT_80_TCP": "tcp://10.96.0.7:80",
        "MIRRORLISTD_PORT_80_TCP_PROTO": "tcp",
        "MIRRORLISTD_PORT_80_TCP_PORT": "80",
        "MIRRORLISTD_PORT_80_TCP_ADDR": "10.96.0.7",
        "MIRRORLISTD_CANARY_PORT": "tcp://10.96.0.8:80",
        "MIRRORLISTD_CANARY_SERVICE_HOST": "10.96.0.8",
    }
    assert load_config({}, environ) == Config()
    assert problems_of(environ={"MIRRORLISTD_CANARY_PORT": "81"})


@given(st.dictionaries(st.sampled_from([option.field for option in OPTIONS[:-1]]), st.text(max_size=20)))
def test_any_text_is_taken_or_refused(given: dict[str, str]) -> None:
    """Whatever the flags say: a Config, or the one error with a line for each refused flag."""
    given.pop("config", None)
    problems = problems_or_none(given, None)
    assert all("\n" not in problem for problem in problems or ())


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_file_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever the file says: a Config or the one error."""
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text(text, "utf-8")
    problems_or_none({}, file)


def test_what_needs_a_restart() -> None:
    """Of two configurations, exactly the changed options that a reload cannot apply are named."""
    old = Config()
    new = Config(port=1, hosts=("::1",), limit=3, log_level="debug", pid_file=Path("p"))
    assert changed_needing_restart(old, new) == ("host", "port", "pid-file")
    assert changed_needing_restart(new, new) == ()


def test_help_says_everything() -> None:
    """`--help` has each flag, its variable and its default."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = re.sub(r"\s+", " ", parser.format_help())
    for option in OPTIONS:
        assert option.flag in text
        assert option.variable in text
        assert not option.default or f"default: {option.default}; {option.variable}" in text


def test_the_documented_table_of_options_is_the_generated_one() -> None:
    """The table of options in docs/options.md is the one that the program renders."""
    page = (ROOT / "docs" / "options.md").read_text("utf-8")
    _, found, _ = re.split(r"<!-- /?options -->", page)
    assert found.strip() == options_table().strip(), "paste mirrorlistd.config.options_table() into docs/options.md"


@pytest.mark.process
def test_nothing_is_read_at_import(tmp_path: Path) -> None:
    """Importing the module opens no file of the operator's and looks at no variable of ours."""
    code = (
        "import sys\n"
        "import argparse, dataclasses, difflib, ipaddress, itertools, pathlib, tomllib\n"
        "opened = []\n"
        "sys.addaudithook(lambda name, args: opened.append(args[0]) if name == 'open' else None)\n"
        "import mirrorlistd.config\n"
        "print([path for path in opened if isinstance(path, str) and '.py' not in path])\n"
    )
    environ = {
        f"{ENV_PREFIX}CONFIG": str(tmp_path / "none.toml"),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'snapshot'}",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_paths_of_a_list_are_relative_to_the_file(tmp_path: Path) -> None:
    """Relative paths in the TOML file lie beside it, also where the key takes several."""
    file = written(tmp_path, 'trusted-key = ["a.pub", "/b.pub"]\nstate-dir = "state"\n')
    config = load_config({}, {}, file)
    assert config.trusted_keys == (tmp_path / "a.pub", Path("/b.pub"))
    assert config.state_dir == tmp_path / "state"


def test_the_service_manager_names_the_state_folder() -> None:
    """Systemd's STATE_DIRECTORY, the first where it has several, is the default; what is set here wins."""
    environ = {"STATE_DIRECTORY": "/var/lib/mirrorlistd:/var/lib/other"}
    assert load_config({}, environ).state_dir == Path("/var/lib/mirrorlistd")
    assert load_config({"state_dir": "/srv"}, environ).state_dir == Path("/srv")
