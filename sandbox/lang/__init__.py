"""The Python that scripts may write: the first of the three walls. Runs inside the worker, with the script.

`names.py` the tables: builtins, modules, names, each with its reason · `advice.py` what to write instead ·
`check.py` source to code, or all problems at once (`errors.py`) · `transformer.py` what is refused and where
guards go · `guards.py` the tables of the compiled guards (`onvp.native._guards`) · `environment.py` the
world of one script · `modules.py` views and the import statement · `standins.py`, `arguments.py`, `logs.py`,
`safe_copy.py`, `zones.py` library parts that a script gets from us instead · `report.py` exceptions as text.
"""
