"""Our second prober: what Debian's scamper lacks, behind the same control protocol.

Serving: ``serve`` the process: socket, privileges, signals · ``client`` one connection: reader,
writer, measurements · ``session`` the control protocol's server side, without I/O · ``room`` how much
memory answers may take · ``privileges`` giving them up.
Commands: ``options`` the option grammar and value types · ``commands`` and ``midarcommands`` the command
tables: text -> typed request.
Measuring: ``measurement`` what every measurement looks like · ``dns`` ``http`` ``udpprobe``
``owamp`` ``midar`` one file per measurement · ``net`` clock, datagrams, connections.
Raw probes: ``schedules`` when which probe leaves · ``rawjob`` what companion and raw worker say to each
other · ``rawworker`` the one process with raw sockets · ``rawfilter`` which replies the kernel lets through to it.
Answers: ``results`` what was measured, as plain values · ``warts`` those values as records · ``errors``.

Imports ``onvp.native``, ``onvp.sandbox.wire`` and libraries, nothing else of ours: see
``docs/explanation/companion.md``.
"""
