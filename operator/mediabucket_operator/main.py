"""`mediabucket-operator`: kopf with our handlers, and no options; see settings.py for its environment."""

import sys
from typing import NoReturn

import kopf
from pydantic import ValidationError

from mediabucket_operator import handlers
from mediabucket_operator.logs import set_up_logging
from mediabucket_operator.settings import OperatorSettings


def main() -> NoReturn:
    """Run until a signal; exit status 1 when it cannot start."""
    try:
        settings = OperatorSettings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"MEDIABUCKET_OPERATOR_{'_'.join(map(str, first['loc'])).upper()}"
        sys.exit(f"mediabucket-operator: {name}: {first['msg']}")
    set_up_logging(settings.log_level)
    assert handlers  # importing it has registered its handlers
    kopf.run(clusterwide=True, standalone=True, memo=kopf.Memo())
    sys.exit(0)
