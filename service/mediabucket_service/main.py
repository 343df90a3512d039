"""The application as the environment configures it; `python -m mediabucket_service` serves it."""

import os

from mediabucket_api.connection import BucketConnection
from mediabucket_service.app import create_app
from mediabucket_service.logs import set_up_logging
from mediabucket_service.settings import Settings

settings = Settings()
set_up_logging(settings.log_format, settings.log_level)
app = create_app(settings, BucketConnection.from_environment(os.environ))
