"""``python -m jaxcrys`` is the ``jaxcrys`` command."""

from jaxcrys.cli.main import main

main()
