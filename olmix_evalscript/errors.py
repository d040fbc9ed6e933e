"""The errors a user sees: each message names what went wrong and what to do next."""

from __future__ import annotations


class EvalScriptError(Exception):
    """Base of all errors of this package; shown as a message, with exit status 1."""


class InvalidInputError(EvalScriptError):
    """A group ID, task, option, config or snapshot that makes no sense as it is written."""


class UsageError(InvalidInputError):
    """An argument or option that is wrong as it is written; exit status 2."""


class BeakerError(EvalScriptError):
    """Beaker could not be reached, or did not answer."""


class SwarmError(EvalScriptError):
    """Beaker answered, but the answer is not enough for a script that can be trusted."""


class TrainerCommandError(EvalScriptError):
    """A command that names a trainer, but does not plainly say which run it trains."""

    def __init__(self, message: str, group_id: str | None = None) -> None:
        super().__init__(message)
        self.group_id = group_id  # of the run, where the command says at least that


class FitError(EvalScriptError):
    """Mixtures, priors or evaluation results that are not enough for a sound fit."""
