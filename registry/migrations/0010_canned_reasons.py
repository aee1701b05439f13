"""Words for reviewers to start with."""

from django.db import migrations

REASONS = (
    ("request_changes", "Contacts outside your domains",
     "Some of your contacts or owners use e-mail addresses outside the domains of your organization. Please use addresses of your own domains, or tell us why they belong to you."),
    ("request_changes", "Registration number cannot be found",
     "We cannot find your organization under this registration number. Please check the number and the country, and submit again."),
    ("request_changes", "Website does not answer",
     "Your website does not answer, so that we cannot compare it with what you say of yourself. Please correct the address or bring the site up."),
    ("request_changes", "Redirect URI on a foreign host",
     "One of the redirect URIs is on a host that is not of your organization's domains. Please use a host of your own, or tell us who runs it for you."),
    ("request_changes", "Scope needs a justification",
     "The app asks for a scope that gives access to sensitive data. Please say what it needs each such scope for, or ask for less."),
    ("request_changes", "Key is used elsewhere",
     "One of the app's keys is also registered for an app of another organization. Please make a new key pair that only you hold."),
    ("reject", "Registered already",
     "Your organization is registered here already. Please ask an owner there for an invitation."),
    ("reject", "Not a partner",
     "We have no agreement with your organization. Please talk to your contact on our side first."),
    ("reject", "Not a use we allow",
     "What the app is for is not among the uses that our terms allow."),
    ("suspend", "Suspected misuse",
     "We see requests that look like misuse. Please answer to our staff; we reinstate access when we know what happened."),
    ("suspend", "Credential leaked",
     "A credential of yours was found in public. Please replace it and tell us when that is done."),
    ("suspend", "You asked for it",
     "You asked us to stop access. Tell us when it may be reinstated."),
)  # fmt: skip


def add_reasons(apps, schema_editor):
    model = apps.get_model("registry", "CannedReason")
    for step, name, text in REASONS:
        model.objects.get_or_create(name=name, defaults={"step": step, "text": text})


class Migration(migrations.Migration):
    dependencies = [("registry", "0009_desk")]

    operations = [migrations.RunPython(add_reasons, migrations.RunPython.noop)]
