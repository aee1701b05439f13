"""Authorization requests, consents, and the families of what descends from one code. Every code there is gets a family of its own."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def give_families(apps, schema_editor):
    Grant = apps.get_model("authserver", "Grant")
    for pk in Grant.objects.values_list("pk", flat=True):
        Grant.objects.filter(pk=pk).update(family=uuid.uuid4())


class Migration(migrations.Migration):
    dependencies = [
        ("authserver", "0002_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        migrations.swappable_dependency(settings.OAUTH2_PROVIDER_APPLICATION_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AuthorizationRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("credential_generation", models.PositiveIntegerField()),
                ("reference", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("digest", models.CharField(blank=True, help_text="Of the pushed request_uri.", max_length=64)),
                (
                    "origin",
                    models.CharField(
                        choices=[("parameters", "Plain parameters"), ("request_object", "Signed request object"), ("pushed", "Pushed")],
                        max_length=16,
                    ),
                ),
                ("signed", models.BooleanField(default=False, help_text="Whether a request object of the app held the parameters.")),
                ("parameters", models.JSONField()),
                ("created", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires", models.DateTimeField()),
                ("consumed_at", models.DateTimeField(null=True)),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authorization_requests",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["expires"], name="authserver__expires_40d908_idx"),
                    models.Index(fields=["application", "credential_generation"], name="authserver__applica_5decc4_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("digest", ""), _negated=True), fields=("digest",), name="pushed_request_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Consent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scopes", models.JSONField(default=list)),
                ("given_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="consents", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("user", "application"), name="consent_once")]},
        ),
        migrations.AddField(
            model_name="accesstoken",
            name="family",
            field=models.UUIDField(editable=False, help_text="Of the code that it descends from.", null=True),
        ),
        migrations.AddIndex(
            model_name="accesstoken", index=models.Index(fields=["family"], name="authserver__family_288522_idx")
        ),
        migrations.AddField(
            model_name="refreshtoken", name="scope", field=models.TextField(blank=True, default=""), preserve_default=False
        ),
        migrations.AddField(
            model_name="grant",
            name="auth_time",
            field=models.BigIntegerField(default=0, help_text="When the person signed in, in seconds."),
        ),
        migrations.AddField(
            model_name="grant",
            name="acr",
            field=models.CharField(blank=True, default="", help_text="The class of the sign-in.", max_length=255),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="grant",
            name="amr",
            field=models.CharField(
                blank=True, default="", help_text="The methods of the sign-in, separated by spaces.", max_length=255
            ),
            preserve_default=False,
        ),
        migrations.AddField(model_name="grant", name="used_at", field=models.DateTimeField(null=True)),
        migrations.AddField(
            model_name="grant",
            name="ended_at",
            field=models.DateTimeField(help_text="When everything that descends from the code was ended.", null=True),
        ),
        # One default for all rows would not be unique: first empty, then filled, then unique.
        migrations.AddField(model_name="grant", name="family", field=models.UUIDField(editable=False, null=True)),
        migrations.RunPython(give_families, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="grant", name="family", field=models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
        ),
    ]
