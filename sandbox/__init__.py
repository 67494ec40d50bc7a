"""A vantage point, all of it.

Trusted: ``agent`` the daemon · ``broker`` answers calls · ``jail`` builds the walls · ``prober`` talks to
probers. Not trusted: ``worker`` runs the script · ``lang`` the Python that scripts may write. Apart:
``companion`` the second prober. Between them: ``wire``, the messages.
"""
