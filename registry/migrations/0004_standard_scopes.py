"""The scopes of OpenID Connect, in plain words, where they are not there yet."""

from django.db import migrations

SCOPES = (
    ("openid", "Know who you are", "An identifier of your account that stays the same."),
    ("profile", "See your name", "Your name, as in your account."),
    ("email", "See your e-mail address", "Your address, and whether it is verified."),
    ("offline_access", "Keep access while you are away", "Until you take it back in your account."),
)


def add_scopes(apps, schema_editor):
    Scope = apps.get_model("registry", "Scope")
    for name, title, description in SCOPES:
        Scope.objects.get_or_create(name=name, defaults={"title": title, "description": description})


class Migration(migrations.Migration):
    dependencies = [("registry", "0003_change_request_reviewer")]

    operations = [migrations.RunPython(add_scopes, migrations.RunPython.noop)]
