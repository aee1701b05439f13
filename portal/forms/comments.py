"""Writing to a reviewer."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms.once import OnceForm
from registry.review_comments import TEXT_LIMIT


class CommentForm(OnceForm):
    """One comment about a request."""

    text = forms.CharField(
        label=_("Write to the reviewer"),
        max_length=TEXT_LIMIT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Our staff and everybody in your organization read it. Never put a secret here."),
    )
