"""Every message format, and nothing else: no sockets, no files, no clocks.

``frames`` cuts a byte stream into messages of bounded size · ``calls`` is what a worker and its broker
say to each other · ``link`` is what an agent and the controller say to each other · ``records`` is what a
researcher downloads · ``invite`` is the token line that a person carries · ``errors`` is the table of
outcomes, codes and exit statuses.
"""
