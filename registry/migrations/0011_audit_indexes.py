"""Indexes by which the trail answers every question of its page at a million events."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry", "0010_canned_reasons")]

    operations = [
        migrations.AddIndex(model_name="auditevent", index=models.Index(fields=["time"], name="audit_by_time")),
        migrations.AddIndex(model_name="auditevent", index=models.Index(fields=["actor_id", "-id"], name="audit_by_actor")),
        migrations.AddIndex(model_name="auditevent", index=models.Index(fields=["request_id"], name="audit_by_request")),
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(source_address__isnull=False), fields=["source_address", "-id"], name="audit_by_address"
            ),
        ),
    ]
