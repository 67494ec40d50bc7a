"""The project's own little Internet, in network namespaces: `python -m tests.lab up`.

plan.py      every node, network, address and name, on paper; start here
lab.py       the lab as an object: up, down, exec, links
build.py     the plan made real: namespaces, links, addresses; routes.py computes the routes
servers.py   what runs where, and how we know that it answers
configs.py   configuration of named, nginx, snmpd; zones.py their zones, tls.py their certificates
wire.py      the forwarder: links with delay, jitter and loss
responder.py the stage: hosts with IPID habits, MPLS paths, diamonds; packets.py builds what they say
services.py  UDP echo and SNTP
hostile.py   the evil host; hostile_dns.py has its malformed answers
netns.py     the kernel calls; outbox.py timers and devices; checks.py what a machine lacks
fixtures.py  the pytest fixture `lab`
"""

from tests.lab.errors import LabError, LabUnavailableError
from tests.lab.lab import Lab

__all__ = ["Lab", "LabError", "LabUnavailableError"]
