"""`python -m mediabucket_service.migrations`: what an init container runs before the service starts."""

from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings

upgrade(Settings().database_url.get_secret_value())
