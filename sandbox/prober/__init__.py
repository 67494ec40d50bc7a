"""The only code that talks to a prober: scamper of any generation, or the companion.

Map:

* `dialect.py`: what a prober is and which words it knows, from its version alone;
* `command.py`: a typed action → one command line, by table; `values.py`: how each value is written;
  `line.py`: the line, built word by word and checked twice;
* `patience.py`: how long an action may take at worst;
* `control.py`: the control dialogue as a state machine, no I/O; raw records come out as bytes;
* `claims.py`: tasks that a prober could confuse are kept apart;
* `link.py`: one connection to a control socket;
* `session.py`: a run's use of one prober: submit, halt, deadlines, loss and return;
* `driver.py`: `Prober`: what a daemon is, and whether it is there;
* `router.py`: several probers behind one face;
* `errors.py`: what can go wrong.

Nothing here decodes a measurement: a record is looked at up to its eight-byte header.
"""
