"""Answers a script's calls, one by one. Trusted core.

``session`` one run as a state machine, without I/O · ``serve`` the socket loop, the only file here with I/O
on a connection · ``judge`` one call judged: decided, charged, written down · ``budget`` the ledger,
``bucket`` one token bucket · ``audit`` one line per decision, before it takes effect · ``errors`` what can go
wrong.
"""
