"""The only code that talks to a prober: scamper of any generation, or the companion.

Map:

* `dialect.py`: what a prober is and which words it knows, from its version alone;
* `command.py`: a typed action → one command line, by table;
* `patience.py`: how long an action may take at worst;
* `control.py`: the control dialogue as a state machine, no I/O; raw records come out as bytes;
* `driver.py`: `Prober`, and a `Session` per run: submit, halt, deadlines, loss and return;
* `router.py`: several probers behind one face;
* `errors.py`: what can go wrong.

Nothing here decodes a measurement: a record is looked at up to its eight-byte header.
"""
