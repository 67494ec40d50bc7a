"""``make bench``: the comparison tables of docs/benchmarks.md, each against something in the same run."""
