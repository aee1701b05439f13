"""How every form looks: label, hint, error, control (portal.md 5.7), with an error summary that links to the fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django.forms
from django.conf import settings
from django.forms import BoundField, Widget
from django.forms.renderers import DjangoTemplates
from django.template.backends.django import DjangoTemplates as TemplateBackend
from django.utils.functional import cached_property


class PortalBoundField(BoundField):
    """A field without placeholder: hints stand under the label, where they stay while people type."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: Widget | None = None) -> dict[str, Any]:
        """Return the attributes of the control."""
        attrs = super().build_widget_attrs(attrs, widget)
        if "placeholder" in (widget or self.field.widget).attrs:
            attrs["placeholder"] = False
        return attrs


class PortalFormRenderer(DjangoTemplates):
    """Renders forms from `templates/forms/` and controls from Django's own templates."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"
    formset_template_name = "forms/formset.html"
    bound_field_class = PortalBoundField

    @cached_property
    def engine(self) -> TemplateBackend:
        """Return the engine: ours first, then installed apps, then `django.forms`, which need not be an installed app."""
        own, djangos = Path(settings.BASE_DIR) / "templates", Path(django.forms.__file__).parent / "templates"
        return TemplateBackend({"APP_DIRS": True, "DIRS": [own, djangos], "NAME": "forms", "OPTIONS": {}})
