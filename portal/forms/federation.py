"""Forms about entities of federations that an organization claims."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from portal.forms.once import OnceForm


class EntityClaimForm(OnceForm):
    """Names an entity. What an entity identifier is, is said by `federation.entity_claims`."""

    entity_id = forms.CharField(
        label=_("Entity identifier"),
        help_text=_("The https address that your app has in its federation, such as https://app.example.org."),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )


class SignedChallengeForm(forms.Form):
    """Proves a claim by a JWT. Each claim of a page has a form of its own, told apart by the prefix."""

    token = forms.CharField(
        label=_("Signed challenge"),
        help_text=_("The whole JWT: three parts with dots between them."),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "mono", "autocomplete": "off"}),
    )
