"""Certificates of the lab: an authority of its own, a server certificate, and one nobody signed.

The vantage points trust the authority the way any Debian host trusts its own: `ip netns exec` lays
/etc/netns/NAME/ssl over /etc/ssl for what runs in the namespace (man ip-netns), so an unmodified
client verifies the lab's servers and nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.lab import plan
from tests.lab.errors import LabError

_CONFIG = """
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


def _openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def make_certificates(folder: Path) -> None:
    """Write ca.pem, server.pem with server.key, untrusted.pem with untrusted.key into a folder."""
    folder.mkdir(mode=0o755)
    served = [plan.WEB, plan.WEB_RAW, plan.CDN1, plan.CDN2, plan.CDN3, plan.EVIL]
    names = [f"DNS:{plan.DOMAIN}", f"DNS:*.{plan.DOMAIN}"]
    names += [f"IP:{address}" for host in served for address in host.addresses]
    config = folder / "openssl.cnf"
    config.write_text(_CONFIG.format(names=",".join(names)))
    common = [
        "-config", str(config), "-x509", "-nodes", "-days", "30",
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
    ]  # fmt: skip

    def issue(name: str, subject: str, section: str, *signer: str) -> None:
        _openssl(
            "req", *common, "-extensions", section, "-subj", f"/CN={subject}",
            "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"), *signer,
        )  # fmt: skip

    ca = ("-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"))
    issue("ca", "onvp lab authority", "authority")
    issue("server", plan.WEB.fqdn, "server", *ca)
    issue("untrusted", plan.WEB.fqdn, "server")


def make_trust_store(folder: Path, authority: Path) -> None:
    """Write what is to be seen as /etc/ssl in a namespace that trusts only the lab's authority."""
    certs = folder / "certs"
    certs.mkdir(parents=True)
    shutil.copy(authority, certs / "ca-certificates.crt")
    digest = _openssl("x509", "-noout", "-hash", "-in", str(authority)).strip()
    shutil.copy(authority, certs / f"{digest}.0")
    machine = Path("/etc/ssl/openssl.cnf")
    if machine.exists():
        shutil.copy(machine, folder / "openssl.cnf")
