"""manage.py rotate_field_encryption"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from registry.field_encryption import encrypt_again
from registry.models import ServerSecret, SigningKey


class Command(BaseCommand):
    """Encrypt every stored private value again under the first of FIELD_ENCRYPTION_KEYS."""

    help = "Encrypt stored private values again under the first key of FIELD_ENCRYPTION_KEYS; run it before removing an old key."

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all rows; a row is done in its own transaction, so the command may be stopped and run again."""
        done = 0
        for model, column in ((SigningKey, "private_key_encrypted"), (ServerSecret, "value_encrypted")):
            for pk in model.objects.values_list("pk", flat=True):
                with transaction.atomic():
                    row = model.objects.select_for_update().get(pk=pk)
                    setattr(row, column, encrypt_again(getattr(row, column)))
                    row.save(update_fields=[column])
                    done += 1
        self.stdout.write(f"{done} values are encrypted under the first key.")
