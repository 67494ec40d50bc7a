"""Our second prober: what Debian's scamper lacks, behind the same control protocol.

``serve`` the process: socket, privileges, signals · ``client`` one connection: reader, writer, measurements ·
``session`` the control protocol's server side, without I/O · ``commands`` the command tables: text -> typed
request · ``options`` the option grammar and value types · ``measurement`` what every measurement looks like ·
``dns`` ``http`` ``udpprobe`` one file per measurement · ``room`` how much
memory answers may take · ``results`` what was measured, as plain values · ``warts`` those values as
records · ``net`` clock and datagrams · ``privileges`` giving them up · ``errors``.

Imports ``onvp.native`` and libraries, nothing else of ours: see ``docs/explanation/companion.md``.
"""
