"""Settings, from the environment."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What differs from one deployment to the next."""

    folder: Path = field(default_factory=lambda: Path(os.environ.get("FULLSTACK_FOLDER", "fullstack-data")))
    secret_key: str = field(default_factory=lambda: os.environ.get("FULLSTACK_SECRET_KEY") or secrets.token_urlsafe(32))
    cors_origins: list[str] = field(
        default_factory=lambda: os.environ.get("FULLSTACK_CORS_ORIGINS", "http://localhost:5173").split(",")
    )
    token_minutes: int = 60 * 24 * 8
    first_superuser: str = "admin@example.com"
    first_superuser_password: str = "changethis"
    max_upload_bytes: int = 1024 * 1024

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "app.db"

    @property
    def uploads(self) -> Path:
        """Files of items, named by the item."""
        return self.folder / "uploads"


settings = Settings()
