"""Why an app gets no tokens right now, by the code of the gate and of its health. A test holds this against the sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _

from portal.catalogue.entries import Group, group

if TYPE_CHECKING:
    from portal.catalogue.entries import Texts

_REASONS: Final[Texts] = {
    "client_draft": (_("The app was prepared and never switched on."), _("An owner or developer activates it.")),
    "client_paused": (_("An owner of your organization paused the app."), _("An owner resumes it on the page of the app.")),
    "client_suspended": (
        _("Our staff or a check suspended the app; its tokens ended."),
        _("The page of the app shows the reason. Write to our staff."),
    ),
    "client_closed": (_("The app was deleted. Its client ID is never used again."), _("Register another one.")),
    "organization_suspended": (_("The whole organization is suspended; so are the tokens of its apps."), _("Write to our staff.")),
    "organization_rejected": (_("The organization was rejected."), _("An owner may open it once more and submit it again.")),
    "organization_closed": (_("The organization is closed."), _("Register another one.")),
    "organization_not_approved": (_("Live apps need an approved organization."), _("An owner submits it; test apps work meanwhile.")),
    "trust_broken": (_("The trust chain of the app does not hold."), _("The page of its trust names the step and who can mend it.")),
    "trust_suspect": (
        _("A superior says that the entity is no member any more, and we look a second time."),
        _("Wait some minutes, then look at the page of its trust."),
    ),
    "trust_expired": (
        _("The trust chain ended and no newer one was found."),
        _("Publish newer statements, then check again on the page of its trust."),
    ),
    "secret_missing": (_("The app authenticates by secret and has none that is alive."), _("Make one on the page of its credentials.")),
    "secret_ending": (_("The last secret ends soon."), _("Make another one, change your app, then let the old one end.")),
    "keys_unusable": (_("None of the registered keys can be used."), _("Register keys that fit; each finding says what is wrong.")),
    "keys_unchecked": (_("The keys were not fetched from the key address yet."), _("Check keys on the page of its credentials.")),
    "keys_unreachable": (_("The keys cannot be fetched, and no copy counts any more."), _("Make the key address answer, then check keys.")),
    "keys_stale": (
        _("The last fetch of the keys failed; the copy from before is still used."),
        _("Make the key address answer before the copy ends."),
    ),
    "scope_waiting": (
        _("A registered scope was not approved yet, and a request for it is refused."),
        _("Leave it out of requests until a reviewer approved it."),
    ),
}

REASON_GROUP: Final[Group] = group("reasons", _("Why an app gets no tokens"), _REASONS)
