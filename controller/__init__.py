"""The central host: takes uploads, keeps the database, hands runs out, takes results in. And the CLI.

The server, one process: ``serve`` runs it · ``app`` wiring and routes · ``api`` the researcher's HTTP API · ``vps`` the
WebSocket on which vantage points call · ``fleet`` who is connected and which run is where (sans-I/O) ·
``selector`` which vantage points a run is for · ``database`` one writer thread, several readers ·
``store`` and ``schema/0001.sql`` the only SQL · ``auth`` tokens · ``certificate`` the controller's own
TLS certificate · ``settings`` · ``messages`` the API's JSON · ``errors`` one error shape.

The researcher's side: ``cli`` the command, put together from ``cli_run`` (a run, live), ``cli_runs`` (what was
and is there), ``cli_policy`` and ``cli_admin`` (``onvp controller``), which share ``cli_common`` · ``client``
HTTP · ``follow`` shows a run live · ``fetch`` brings its files · ``checker`` the child process of ``onvp check``.
"""
