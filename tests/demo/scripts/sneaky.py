"""Try to climb out by way of the language: every problem is told at once, with its line."""

import os

shell = ().__class__.__base__.__subclasses__()
code = (lambda: 0).__code__
eval("1 + 1")
print(os.environ, shell, code)
