"""`python -m mediabucket_service.migrations`: what an init container runs before the service starts."""

from mediabucket_service.logs import set_up_logging
from mediabucket_service.migrations import upgrade
from mediabucket_service.settings import Settings

settings = Settings()
set_up_logging(settings.log_format, settings.log_level)
upgrade(settings.database_url.get_secret_value())
