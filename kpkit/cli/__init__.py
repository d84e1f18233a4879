"""The command line: one file a command; the only place that prints or exits.

Modules here import nothing but typer when they are loaded, so that `kpkit --help` is quick; a command imports what it
needs when it runs.
"""
