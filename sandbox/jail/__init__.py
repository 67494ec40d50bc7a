"""The jail: the walls around the process that runs a researcher's script.

Where to look, in the order in which things happen:

    limits.py      what one run may use
    levels.py      full, standard, refused: what each needs, and what was reached here
    messages.py    the few messages between the agent and the zygote
    spawn.py       the agent's face: start a zygote, spawn workers, wait, kill, learn why they
                   ended
    zygote.py      the warm fork server's start: load, confine itself, try a worker, report the level
    server.py      its loop: gives children out, enforces CPU time, reports each end
    child.py       a child's life: confined, waiting, assigned, sealed, running
    namespaces.py  what the zygote gives up once: other namespaces, files, its user, capabilities
    plan.py        the ordered, printable lists of steps, for the zygote and for a worker
    steps.py       what each worker gives up; each step is applied, then verified
    filter.py      the system calls that remain, each with its reason, and the filter program
    _confine.pyx   the kernel calls that Python lacks
    selftest.py    forbidden operations, tried from inside a real worker
    probes.py      what this host gives, and what forbids the rest
    doctor.py      the report for people: each layer, works or why not and what to do
    errors.py      what the callers meet

The jail imports nothing else of this project. What runs inside is named by a dotted string.
"""
