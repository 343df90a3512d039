"""Logs on standard error: a line for what a person would want to know, none for each pass."""

import logging


def set_up_logging(level: str) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("mediabucket_operator").setLevel(level)
    # kopf tells every handler and every patch.
    logging.getLogger("kopf").setLevel(logging.WARNING)
