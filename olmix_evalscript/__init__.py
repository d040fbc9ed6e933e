"""Evaluation scripts for olmix swarms, made of what Beaker knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olmix_evalscript.library import generate_eval_script

__version__ = "0.3.0"
__all__ = ["__version__", "generate_eval_script"]


def __getattr__(name: str) -> object:
    """Load the library when it is first used: ``--version`` does not pay for it."""
    if name == "generate_eval_script":
        from olmix_evalscript.library import generate_eval_script

        return generate_eval_script
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
