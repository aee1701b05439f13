"""Settings of the tests: the product's own, on a data directory of their own, with nothing that leaves the process."""

import os
from pathlib import Path

os.environ.setdefault("CREDENCE_DATA_DIR", str(Path(__file__).resolve().parent.parent / "build" / "tests"))

from portal.settings import *

TEST_DATABASE = DATA_DIR / f"test-{os.getpid()}.sqlite3"  # noqa: F405
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}  # noqa: F405
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}  # noqa: F405
CELERY_TASK_ALWAYS_EAGER = True
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
