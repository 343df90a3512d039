"""`uvicorn mediabucket_service.main:app`: the application as the environment configures it."""

import os

from mediabucket_api.connection import BucketConnection
from mediabucket_service.app import create_app
from mediabucket_service.settings import Settings

app = create_app(Settings(), BucketConnection.from_environment(os.environ))
