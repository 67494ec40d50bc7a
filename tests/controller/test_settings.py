"""Settings and the controller's own certificate: fail closed, with a sentence."""

import ssl
from pathlib import Path

import pytest

from onvp.controller import settings
from onvp.controller.certificate import make_certificate
from onvp.controller.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("prot = 1", "unknown key 'prot'", id="unknown key"),
        pytest.param('port = "8440"', "'port' has to be of type int", id="wrong type"),
        pytest.param("pin = 1", "'pin' has to be of type bool", id="a number for a bool"),
        pytest.param("port = 70000", "not between", id="port out of range"),
        pytest.param("port =", "controller.toml", id="not TOML"),
        pytest.param('listen = "0.0.0.0"', "has no certificate", id="open to the world without TLS"),
        pytest.param('listen = "::"', "has no certificate", id="the same in IPv6"),
        pytest.param('certificate = "c.pem"', "go together", id="certificate without key"),
        pytest.param('url = "http://192.0.2.1:8440"', "in the clear", id="plain http to the world"),
        pytest.param('url = "onvp.example"', "form https", id="not a URL"),
    ],
)
def test_broken_settings(tmp_path: Path, text: str, words: str) -> None:
    """Settings that cannot be used are refused with file and key."""
    (tmp_path / settings.FILE).write_text(text)

    with pytest.raises(SettingsError, match=words):
        settings.load(tmp_path)


def test_defaults_are_local(tmp_path: Path) -> None:
    """With an empty file the controller listens on the loopback only."""
    (tmp_path / settings.FILE).write_text("")

    assert settings.load(tmp_path) == settings.Settings()
    assert settings.Settings().listen == "127.0.0.1"


@pytest.mark.parametrize("listen", ["192.0.2.1", "0.0.0.0", "::", "2001:db8::1"])
def test_tls_beyond_the_loopback(tmp_path: Path, listen: str) -> None:
    """A controller for other machines makes its own certificate, with a private key for its owner only."""
    made = settings.initialise(tmp_path / "d", listen=listen, port=8440, url="https://onvp.example:8440")

    assert made.has_tls
    assert (tmp_path / "d" / settings.KEY).stat().st_mode & 0o777 == 0o600
    assert len(made.fingerprint(tmp_path / "d") or "") == 64


def test_loopback_needs_no_tls(tmp_path: Path) -> None:
    """A controller for this machine only has neither certificate nor fingerprint."""
    made = settings.initialise(tmp_path / "d", listen="127.0.0.1", port=8440, url=None)

    assert not made.has_tls
    assert made.fingerprint(tmp_path / "d") is None
    assert made.url == "http://127.0.0.1:8440"


def test_own_certificate(tmp_path: Path) -> None:
    """A certificate from elsewhere is used where it lies, and its fingerprint is the first one's in the file."""
    make_certificate("onvp.example", tmp_path / "c.pem", tmp_path / "k.pem")
    alone = settings.fingerprint_of(tmp_path / "c.pem")
    make_certificate("ca.example", tmp_path / "ca.pem", tmp_path / "cak.pem")
    (tmp_path / "chain.pem").write_text((tmp_path / "c.pem").read_text() + (tmp_path / "ca.pem").read_text())
    made = settings.initialise(
        tmp_path / "d",
        listen="0.0.0.0",
        port=8440,
        url="https://onvp.example:8440",
        chain=tmp_path / "chain.pem",
        key=tmp_path / "k.pem",
    )

    assert made.fingerprint(tmp_path / "d") == alone
    assert not (tmp_path / "d" / settings.KEY).exists()


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    """A file without a certificate is refused by name."""
    (tmp_path / "c.pem").write_text("hello")

    with pytest.raises(SettingsError, match=r"c\.pem"):
        settings.fingerprint_of(tmp_path / "c.pem")


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "onvp.example", "bücher.example"])
def test_certificates_load(tmp_path: Path, host: str) -> None:
    """A certificate that the controller made works with its key, for addresses and names."""
    make_certificate(host, tmp_path / "c.pem", tmp_path / "k.pem")

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """A second init of the same folder changes nothing."""
    settings.initialise(tmp_path / "d", listen="127.0.0.1", port=8440, url=None)
    before = (tmp_path / "d" / settings.FILE).read_text()

    with pytest.raises(SettingsError, match="in use"):
        settings.initialise(tmp_path / "d", listen="127.0.0.1", port=9999, url=None)
    assert (tmp_path / "d" / settings.FILE).read_text() == before
