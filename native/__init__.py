"""Compiled parts without authority: they are handed bytes and hand back values.

`_warts` the warts codec and the result classes (`warts/`, one `.pxi` per record type) · `files.py`
recordings as files · `_guards` the language wall's hot guards · `_rawio` timed raw probes · `errors.py`
what the codec raises.
"""
