"""The database's schema over time. Several processes may upgrade at once: an advisory lock lets one do it."""

from importlib.resources import files

from alembic import command
from alembic.config import Config


def configuration(database_url: str) -> Config:
    """Alembic's configuration for a libpq URL."""
    config = Config()
    config.set_main_option("script_location", str(files(__name__)))
    # psycopg 3 under SQLAlchemy; a percent sign would be read as an interpolation.
    url = "postgresql+psycopg://" + database_url.partition("://")[2]
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Bring the database to the newest schema. Does nothing when it is there already."""
    command.upgrade(configuration(database_url), "head")
