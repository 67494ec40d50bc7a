"""The corpus of warts recordings and the tool that compares what we decode with its oracles.

`corpus/` recordings by folder · `describe.py` a result as the oracles write it · `quirks.py` where an
oracle is wrong · `compare.py` one recording against its oracles · `dump.py` reads one of them, `.dump` ·
`bad.py` the malformed ones · `__main__.py` the command `python -m tests.golden DIR`.
"""
