"""`filterd serve`: the service in the foreground."""

from __future__ import annotations

from filterd.cli.common import ConfigOption, Fail
from filterd.config import find_config, load


def command(config: ConfigOption = None) -> None:
    """SIGHUP reloads the configuration, SIGTERM and SIGINT end the service after the mail in hand.

    Without a configuration: embedded defaults. SQLite and a Maildir in the state folder, loopback ports.
    """
    from filterd.app.run import serve
    from filterd.app.service import TROUBLE
    from filterd.yamlfile import DocumentError

    path = find_config(config)
    try:
        serve(path, lambda: load(path))
    except DocumentError:
        raise
    except TROUBLE as error:
        raise Fail(str(error)) from error
