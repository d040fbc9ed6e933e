"""The subcommands, one a module: options in, what the console shows and exit statuses out."""

from olmix_evalscript.commands import collect, generate, list, root, show, snapshot, tasks

__all__ = ["collect", "generate", "list", "root", "show", "snapshot", "tasks"]
