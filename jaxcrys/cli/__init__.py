"""The ``jaxcrys`` command: one file for each subcommand."""
