"""What may be done: the vocabulary of actions, the policy language, and the one function that decides.

Pure: no clock, no sockets, no I/O beyond reading a policy file. ``action`` the typed, bounded actions ·
``model`` what a policy is · ``load`` YAML to policy, every problem with file and line · ``match``
prefixes, names, ports, windows · ``grant`` the two answers · ``decide`` gives one of them · ``explain``
says it in plain words · ``errors`` what can be wrong · ``examples/`` policies to start from.
"""
