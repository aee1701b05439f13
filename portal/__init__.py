"""The site: settings, URLs, the pages partners use, the staff admin, `manage.py run` and `manage.py demo`."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
