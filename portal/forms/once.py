"""Forms that create something: a second post of the same page leads to the first one's result (portal.md 4.4)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from registry.single_use import use_once

KEPT: Final = timedelta(hours=24)


class OnceForm(forms.Form):
    """A form whose page can be posted with success once."""

    once = forms.CharField(widget=forms.HiddenInput, max_length=64, error_messages={"required": "This page is too old. Send it again."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["once"].initial = secrets.token_urlsafe(18)


def run_once(request: HttpRequest, form: OnceForm, create: Callable[[], str], *, otherwise: str) -> str:
    """Return the address of what `create` made, or made when this form was posted before; `otherwise` when that is forgotten.

    A refusal raised by `create` leaves the form usable. Two posts at the same moment wait for each other on the nonce's row.
    """
    sub, nonce = str(request.user.sub), form.cleaned_data["once"]  # type: ignore[union-attr]
    key = "form-result-" + hashlib.sha256(f"{sub}\0{nonce}".encode()).hexdigest()
    with transaction.atomic():
        if not use_once("form", sub, nonce, expires_at=timezone.now() + KEPT):
            return cache.get(key) or otherwise
        address = create()
        # Inside the transaction, so that a post that waited for it finds the address.
        cache.set(key, address, KEPT.total_seconds())
        return address
