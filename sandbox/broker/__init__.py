"""Answers a script's calls, one by one. Trusted core.

``session`` one run as a state machine, without I/O · ``judge`` one call judged: decided, charged, written
down · ``budget`` the ledger and the token buckets · ``audit`` one line per decision, before it takes
effect · ``serve`` the socket loop, the only file here with I/O on a connection.
"""
