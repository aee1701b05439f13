"""The scopes of the JSON API. Both need the approval of a reviewer; the second counts for apps of this server's operator only."""

from django.db import migrations

SCOPES = (
    ("registry", "Manage your organization's registrations", "The API of this server, for the app's own organization."),
    ("registry.admin", "Review and manage all organizations", "The API of this server, for its operator's own apps only."),
)


def add_scopes(apps, schema_editor):
    Scope = apps.get_model("registry", "Scope")
    for name, title, description in SCOPES:
        Scope.objects.update_or_create(name=name, defaults={"title": title, "description": description, "is_sensitive": True})


class Migration(migrations.Migration):
    dependencies = [("registry", "0007_client_checks")]

    operations = [migrations.RunPython(add_scopes, migrations.RunPython.noop)]
