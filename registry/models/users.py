"""The one user model: end users, partner staff and operators (house decision 2)."""

from __future__ import annotations

import unicodedata
import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def normalize_email(address: str) -> str:
    """Return the one spelling under which `address` is stored and looked up: NFKC, lower case, no surrounding space.

    Two addresses that a mail system or a reader could take for the same must not become two accounts (threats.md R10).
    """
    return unicodedata.normalize("NFKC", address).strip().casefold()


class UserManager(BaseUserManager["User"]):
    """Creates users and finds them by normalized e-mail address."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user with this e-mail address, in any spelling; raise User.DoesNotExist."""
        return self.get(email=normalize_email(username or ""))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create and return a user; without a password the account cannot sign in by password."""
        user = self.model(email=normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create and return a user who may do everything in the staff admin."""
        return self.create_user(email, password, is_superuser=True, **fields)


class StaffRole(models.TextChoices):
    """What a member of staff may do (portal.md 4.1)."""

    NONE = "", _("Not staff")
    REVIEWER = "reviewer", _("Reviewer")
    OPERATOR = "operator", _("Operator")
    AUDITOR = "auditor", _("Auditor")


class User(AbstractBaseUser, PermissionsMixin):
    """A person. `sub` is the subject identifier in tokens; partner and staff roles never appear in tokens."""

    sub = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    email = models.EmailField(_("e-mail address"), max_length=254, unique=True)
    name = models.CharField(max_length=150, blank=True)
    staff_role = models.CharField(max_length=20, choices=StaffRole.choices, default=StaffRole.NONE, blank=True)
    language = models.CharField(max_length=10, blank=True, help_text="Empty: the one that the browser asks for.")
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Say whether the person may open the staff admin."""
        return self.is_superuser or bool(self.staff_role)

    def clean(self) -> None:
        """Normalize the e-mail address."""
        super().clean()
        self.email = normalize_email(self.email)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save with the e-mail address normalized, whoever set it."""
        self.email = normalize_email(self.email)
        super().save(*args, **kwargs)
