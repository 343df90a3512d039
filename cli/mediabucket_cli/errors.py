"""Failures that a person can mend: told in a sentence, without a traceback."""


class CommandFailed(Exception):
    """The message says what is wrong and what to do."""
