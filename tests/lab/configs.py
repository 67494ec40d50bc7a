"""Configuration files of the lab's servers, as text made from the plan.

Every path is below the instance's state directory: no server reads or writes the machine's own
configuration in /etc/nginx, /etc/bind or /etc/snmp.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.lab import plan, zones


def named(state: Path, host: plan.Host) -> str:
    """named.conf of one name server."""
    lines = "\n".join(f'zone "{name}" {{ type primary; file "{_zone_file(name)}"; }};' for name in zones.zones())
    work = state / f"named-{host.name}"
    return f"""
options {{
  directory "{state}/zones"; pid-file "{work}/pid"; session-keyfile "{work}/session.key";
  managed-keys-directory "{work}"; lock-file none;
  listen-on {{ {host.v4}; }}; listen-on-v6 {{ {host.v6}; }};
  recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }}; allow-transfer {{ any; }};
  dnssec-validation no; empty-zones-enable no; notify no; minimal-responses no; prefetch 0;
  max-udp-size 1232; max-cache-size 8m; interface-interval 0; resolver-query-timeout 3000;
  server-id "{host.name}.lab"; hostname "{host.fqdn}"; version "onvp lab";
}};
controls {{ }};
{lines}
"""


def _zone_file(name: str) -> str:
    return "root" if name == "." else name


def write_zones(state: Path) -> None:
    """Write the zone files that all name servers share."""
    folder = state / "zones"
    folder.mkdir()
    for name, text in zones.zones().items():
        (folder / _zone_file(name)).write_text(text)


def nginx(state: Path, *, far: bool = False) -> str:
    """nginx.conf of the web node, or of the far edge of the CDN."""
    name = "far" if far else "web"
    work = state / f"nginx-{name}"
    tls = f"ssl_certificate {state}/tls/server.pem; ssl_certificate_key {state}/tls/server.key;"
    untrusted = f"ssl_certificate {state}/tls/untrusted.pem; ssl_certificate_key {state}/tls/untrusted.key;"
    return f"""
worker_processes 1; user www-data; pid {work}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off; server_tokens off; default_type text/plain; keepalive_timeout 10s;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy;
  fastcgi_temp_path {work}/fastcgi; uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  map_hash_bucket_size 128; map_hash_max_size 4096;
  map "$arg_name $arg_type" $dns_answer {{ include {state}/dns-json.map; }}
  server {{
    listen 80; listen [::]:80; listen 8080; listen [::]:8080;
    listen 443 ssl; listen [::]:443 ssl; {tls} ssl_protocols TLSv1.2 TLSv1.3;
    server_name www.{plan.DOMAIN}; root {state}/www;
    add_header X-Served-By {name};
    location = / {{ return 200 "hello from {name}\\n"; }}
    location /files/ {{ alias {state}/www/; }}
    location = /dns-json {{ default_type application/dns-json; return 200 $dns_answer; }}
    location = /json {{ default_type application/json; return 200 '{{"ok": true, "n": [1, 2, 3]}}'; }}
    location = /echo {{ default_type application/json;
      return 200 '{{"method": "$request_method", "args": "$args", "agent": "$http_user_agent",
 "host": "$http_host", "from": "$remote_addr", "x_test": "$http_x_test"}}'; }}
    location = /moved {{ return 301 /; }}
    location = /secure {{ return 302 https://www.{plan.DOMAIN}/; }}
    location = /chain3 {{ return 302 /chain2; }}
    location = /chain2 {{ return 302 /chain1; }}
    location = /chain1 {{ return 302 /; }}
    location = /round {{ return 302 /round; }}
    location = /empty {{ return 204; }}
    location = /teapot {{ add_header X-Lab one always; add_header X-Lab two always;
      return 418 "short and stout\\n"; }}
    location = /error {{ return 500; }}
    location = /close {{ return 444; }}
    location = /slow {{ limit_rate 2k; alias {state}/www/big; }}
  }}
  server {{ listen {plan.HTTPS_TLS12_PORT} ssl; listen [::]:{plan.HTTPS_TLS12_PORT} ssl; {tls}
    ssl_protocols TLSv1.2; location / {{ return 200 "tls 1.2 only\\n"; }} }}
  server {{ listen {plan.HTTPS_UNTRUSTED_PORT} ssl; listen [::]:{plan.HTTPS_UNTRUSTED_PORT} ssl;
    {untrusted} location / {{ return 200 "signed by nobody you know\\n"; }} }}
}}
"""


def dns_json_map() -> str:
    """What `/dns-json?name=...&type=...` answers: the JSON form of DNS that public resolvers speak."""
    kinds: dict[str, int] = {"A": 1, "AAAA": 28}
    entries = []
    hosts = {host.fqdn: [host] for host in plan.HOSTS.values()}
    hosts[f"cdn.{plan.DOMAIN}"] = [plan.CDN1, plan.CDN2, plan.CDN3]
    for name, holders in hosts.items():
        for kind, number in kinds.items():
            answers = [
                {"name": name, "type": number, "TTL": 60, "data": h.v4 if kind == "A" else h.v6} for h in holders
            ]
            question = [{"name": name, "type": number}]
            entries.append((f"{name} {kind}", _dns_json(0, question, answers)))
            if kind == "A":  # the usual default when no type is given
                entries.append((f"{name} ", _dns_json(0, question, answers)))
    lines = [f"default '{_dns_json(3, [], [])}';"]
    lines += [f"'{key}' '{value}';" for key, value in entries]
    return "\n".join([*lines, ""])


def _dns_json(status: int, question: Sequence[object], answers: Sequence[object]) -> str:
    body = {"Status": status, "TC": False, "RD": True, "RA": True, "Question": question}
    return json.dumps(body | ({"Answer": answers} if answers else {}))


def snmpd(engine: str, hosts: tuple[plan.Host, ...]) -> str:
    """snmpd.conf: readable to the lab, with an engine id that says which box this is.

    One socket per address: on a wildcard socket, snmpd answers IPv6 from whichever address it likes.
    """
    sockets = ",".join(f"udp:{host.v4}:161,udp6:[{host.v6}]:161" for host in hosts)
    return f"""
agentAddress {sockets}
rocommunity public
rocommunity6 public
sysName {engine}.{plan.DOMAIN}
sysDescr onvp lab {engine}
sysLocation lab
sysContact nobody@{plan.DOMAIN}
engineID onvp-lab-{engine}
"""


MUTE_RULES = """
table inet lab {
  chain input {
    type filter hook input priority 0; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
"""
"""The mute host: neighbour discovery works (ARP is not filtered here), nothing else is answered."""

R4_RULES = """
table inet lab {
  chain forward {
    type filter hook forward priority 0;
    ip daddr 198.19.2.0/24 reject with icmp type host-unreachable
    ip daddr 198.19.3.0/24 reject with icmp type admin-prohibited
    ip6 daddr 2001:db8:dead:2::/64 reject with icmpv6 type addr-unreachable
    ip6 daddr 2001:db8:dead:3::/64 reject with icmpv6 type admin-prohibited
  }
}
"""
"""Refusals by rule, not by `unreachable` routes: the kernel sends only five of those in a burst to one
source (net.ipv4.route.error_burst), and no namespace can change that."""

VP_RULES = f"""
table inet lab {{
  chain input {{
    type filter hook input priority 0;
    ip saddr {{ {plan.WEB_RAW.v4}, {plan.STAGE.prefix4} }} meta l4proto tcp drop
    ip6 saddr {{ {plan.WEB_RAW.v6}, {plan.STAGE.prefix6} }} meta l4proto tcp drop
  }}
}}
"""
"""The VP's kernel must not reset TCP dialogues that a prober holds over raw sockets."""
