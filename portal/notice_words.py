"""What notices say, by event and voice: in a mail, in the inbox and in the notice log. A test holds this table against the kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.models import AuditEvent
from registry.models.audit import ActorKind
from registry.notice_kinds import EMAIL_CHANGED, Group, Voice

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one kind of notice. `%(name)s` is what it is about: an organization, an app, a token or an entity."""

    subject: _StrPromise
    to_do: _StrPromise


_NOTHING: Final = gettext_lazy("Nothing. We write again when something changes.")
_LOOK: Final = gettext_lazy("Nothing, if you know of it. If you do not, end the secret and ask your colleagues who was signed in.")
_REVIEW: Final = gettext_lazy("Open it, take it on and decide. The partner sees who has to act next.")

PARTNER_WORDS: Final = {
    "org.submitted": Words(
        gettext_lazy("%(name)s was submitted for approval"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "org.changes_requested": Words(
        gettext_lazy("%(name)s: changes requested"), gettext_lazy("Change what the reviewer asks for and submit it again.")
    ),
    "org.approved": Words(gettext_lazy("%(name)s is approved"), gettext_lazy("Nothing. Your apps can now ask to go live.")),
    "org.rejected": Words(
        gettext_lazy("%(name)s was rejected"), gettext_lazy("Read the reason. You can reopen it once and submit it again.")
    ),
    "org.suspended": Words(
        gettext_lazy("%(name)s is suspended"), gettext_lazy("Its apps get no tokens, and every token ended. Answer to our staff.")
    ),
    "org.reinstated": Words(
        gettext_lazy("%(name)s is reinstated"), gettext_lazy("Nothing. Your apps ask for new tokens with the credentials they have.")
    ),
    "change.requested": Words(
        gettext_lazy("Waiting for review: %(name)s"), gettext_lazy("Nothing. A person looks at it, and you get a mail.")
    ),
    "change.answered": Words(
        gettext_lazy("The reviewer wrote: %(name)s"), gettext_lazy("Read it, and answer on the page below if they ask for something.")
    ),
    "change.approved": Words(gettext_lazy("Approved: %(name)s"), _NOTHING),
    "change.sent_back": Words(gettext_lazy("Sent back: %(name)s"), gettext_lazy("Change what the reviewer asks for and ask again.")),
    "change.rejected": Words(gettext_lazy("Rejected: %(name)s"), gettext_lazy("Read the reason. The app stays as it was.")),
    "member.joined": Words(
        gettext_lazy("Somebody joined %(name)s"), gettext_lazy("Nothing, if you know them. If you do not, remove them under Members.")
    ),
    "member.role_changed": Words(
        gettext_lazy("Somebody's role in %(name)s changed"),
        gettext_lazy("Nothing, if you know of it. Otherwise change it back under Members."),
    ),
    "member.removed": Words(
        gettext_lazy("Somebody left %(name)s"),
        gettext_lazy("Nothing, if you know of it. Make new secrets for the apps whose secrets they had seen."),
    ),
    "client.suspended": Words(
        gettext_lazy("App stopped: %(name)s"),
        gettext_lazy("It gets no tokens, and every token ended. The page of the app says who can change that."),
    ),
    "client.reinstated": Words(
        gettext_lazy("App works again: %(name)s"), gettext_lazy("Nothing. It asks for new tokens with the credentials it has.")
    ),
    "client.closed": Words(gettext_lazy("App closed: %(name)s"), gettext_lazy("Nothing. This is final, and every token ended.")),
    "client.registered": Words(
        gettext_lazy("A new app registered itself: %(name)s"),
        gettext_lazy(
            "Nothing, if you know it. If you do not, ask our staff to suspend it, and look at who has the token or the keys of the entity. "
            "Further ones of this kind are listed in one mail a day."
        ),
    ),
    "registrations.summarized": Words(
        gettext_lazy("Apps that registered themselves: %(name)s"),
        gettext_lazy("Nothing, if you know them. If you do not, revoke the token they came with, and ask our staff to suspend them."),
    ),
    "client.updated": Words(
        gettext_lazy("An app changed its keys or addresses: %(name)s"),
        gettext_lazy("Nothing, if you know of it. If you do not, make a new registration access token on the page of the app."),
    ),
    "client.check_failed": Words(
        gettext_lazy("App breaks our rules: %(name)s"),
        gettext_lazy("Mend what is named above before that day. The page of the app says the same, and when it is mended."),
    ),
    "client.drafted": Words(
        gettext_lazy("An app waits for you: %(name)s"), gettext_lazy("Look at it and claim it, or close it. It gets no tokens before.")
    ),
    "secret.created": Words(gettext_lazy("A secret was made: %(name)s"), _LOOK),
    "secret.ended": Words(
        gettext_lazy("A secret was ended: %(name)s"), gettext_lazy("Make sure that the app uses another one. If it has none, make one.")
    ),
    "registration_token.reset": Words(
        gettext_lazy("A new registration access token was made: %(name)s"),
        gettext_lazy(
            "Give it to the app that manages its own registration; the one before ended. If you do not know of it, tell our staff."
        ),
    ),
    "registration_token.revoked": Words(
        gettext_lazy("A registration access token was revoked: %(name)s"),
        gettext_lazy("Find out who used it. An owner makes a new one on the page of the app, under Credentials."),
    ),
    "statement.ended": Words(
        gettext_lazy("The software statement of an app ended: %(name)s"),
        gettext_lazy(
            "The scopes that it had by the statement ended. Update the registration with a new software statement to get them back."
        ),
    ),
    "secret.ending": Words(
        gettext_lazy("A secret ends soon: %(name)s"),
        gettext_lazy("Make a new secret on the page below and let the app use it before that day."),
    ),
    "secret.expired": Words(
        gettext_lazy("The last secret ended: %(name)s"), gettext_lazy("The app gets no tokens. Make a new secret on the page below.")
    ),
    "certificate.ending": Words(
        gettext_lazy("A certificate ends soon: %(name)s"),
        gettext_lazy("Register a key with a new certificate beside it, let the app use it, and remove the old one."),
    ),
    "certificate.expired": Words(
        gettext_lazy("A certificate ended: %(name)s"), gettext_lazy("Register a key with a new certificate, and remove the old one.")
    ),
    "token.ending": Words(
        gettext_lazy("A registration token ends soon: %(name)s"),
        gettext_lazy("Make another one if more apps are to register themselves. Apps that it registered are not affected."),
    ),
    "token.expired": Words(
        gettext_lazy("A registration token ended: %(name)s"),
        gettext_lazy("Make another one if more apps are to register themselves. Apps that it registered are not affected."),
    ),
    "trust.ending": Words(
        gettext_lazy("Trust ends soon: %(name)s"),
        gettext_lazy("The page of the app says which step failed and who can fix it. When trust ends, the app gets no tokens."),
    ),
    "keys.unreachable": Words(
        gettext_lazy("Keys cannot be fetched: %(name)s"),
        gettext_lazy("Let the address answer again, or register another one. Without its keys the app cannot sign in."),
    ),
    "keys.reachable": Words(gettext_lazy("Keys can be fetched again: %(name)s"), _NOTHING),
    "trust.unconfirmed": Words(
        gettext_lazy("Trust in doubt: %(name)s"),
        gettext_lazy("It gets no tokens until its trust is confirmed. The page of the app says which step failed and who can fix it."),
    ),
    "trust.recovered": Words(gettext_lazy("Trust confirmed again: %(name)s"), _NOTHING),
    "trust.broken": Words(
        gettext_lazy("Trust lost: %(name)s"),
        gettext_lazy("It gets no tokens, and every token ended. The page of the app says which step failed and who can fix it."),
    ),
    "trust.revived": Words(gettext_lazy("Trusted again: %(name)s"), gettext_lazy("Nothing. It asks for new tokens with its keys.")),
}
PERSON_WORDS: Final = {
    "member.role_changed": Words(gettext_lazy("Your role in %(name)s changed"), gettext_lazy("Nothing. An owner can change it again.")),
    "account.password_changed": Words(
        gettext_lazy("The password of %(name)s was changed"),
        gettext_lazy(
            "Nothing, if it was you. If it was not, ask for a new password on the sign-in page, and end the sessions that you do not know "
            "on the page below."
        ),
    ),
    "account.email_changed": Words(
        gettext_lazy("The mail address of %(name)s was changed"),
        gettext_lazy("Nothing, if it was you. If it was not, tell our staff: whoever reads the new address can choose a new password."),
    ),
    "account.factor_added": Words(
        gettext_lazy("A way to sign in was added for %(name)s"),
        gettext_lazy("Nothing, if it was you. If it was not, remove it on the page below and change your password."),
    ),
    "account.factor_removed": Words(
        gettext_lazy("A way to sign in was removed for %(name)s"),
        gettext_lazy("Nothing, if it was you. If it was not, change your password and set it up again on the page below."),
    ),
    "account.recovery_codes_made": Words(
        gettext_lazy("New recovery codes were made for %(name)s"),
        gettext_lazy("Nothing, if it was you; those from before work no more. If it was not, change your password and make new ones."),
    ),
    "member.removed": Words(
        gettext_lazy("You are no longer a member of %(name)s"), gettext_lazy("Nothing. If this is a mistake, ask an owner to invite you.")
    ),
}
STAFF_WORDS: Final = {
    "org.submitted": Words(gettext_lazy("To review: the organization %(name)s"), _REVIEW),
    "org.withdrawn": Words(gettext_lazy("Withdrawn: the organization %(name)s"), gettext_lazy("Nothing. It left the queue.")),
    "change.requested": Words(gettext_lazy("To review: %(name)s"), _REVIEW),
    "change.commented": Words(gettext_lazy("The partner wrote: %(name)s"), gettext_lazy("Read it, and answer if they ask for something.")),
    "registration_request.opened": Words(
        gettext_lazy("An entity without an organization: %(name)s"), gettext_lazy("Say whose it is, or that it stays out.")
    ),
    "review.delayed": Words(gettext_lazy("Waiting for more than two working days: %(name)s"), _REVIEW),
    "org.orphaned": Words(
        gettext_lazy("Nobody leads %(name)s any more"),
        gettext_lazy("Reach its contacts, and have somebody made an owner, or suspend the organization."),
    ),
}
WORDS: Final = {Voice.PARTNER: PARTNER_WORDS, Voice.PERSON: PERSON_WORDS, Voice.STAFF: STAFF_WORDS}

# What the switches on the account page are called: name, and what it is about.
GROUPS: Final = {
    Group.SECURITY: (
        gettext_lazy("Security"),
        gettext_lazy("Apps and organizations stopped, secrets made and ended, trust lost, your role, and how you sign in."),
    ),
    Group.REVIEWS: (gettext_lazy("Reviews"), gettext_lazy("Received, sent back, approved, rejected.")),
    Group.MEMBERS: (gettext_lazy("Members"), gettext_lazy("Who joined, who left, whose role changed.")),
    Group.REGISTRATIONS: (gettext_lazy("New apps"), gettext_lazy("Apps that registered themselves: the first at once, then once a day.")),
    Group.ENDINGS: (gettext_lazy("What ends soon"), gettext_lazy("Secrets, certificates, registration tokens, trust, and rules to keep.")),
    Group.TRUST: (gettext_lazy("Keys and trust"), gettext_lazy("Keys that cannot be fetched, trust in doubt, and when it is over.")),
    Group.QUEUE: (gettext_lazy("Staff: the queue"), gettext_lazy("What waits for a reviewer, and organizations that nobody leads.")),
}
FACTORS: Final = {
    "totp": gettext_lazy("an authenticator app"),
    "webauthn": gettext_lazy("a passkey or security key"),
    "recovery_codes": gettext_lazy("recovery codes"),
}


def one_line(text: object) -> str:
    """Return what others wrote as one line of printable characters, so that no name makes a line or a header of ours (threats.md R16)."""
    return "".join(character for character in " ".join(str(text).split()) if character.isprintable())


def quoted(text: str) -> str:
    """Return what others wrote as lines that are marked as theirs, whatever they look like."""
    return "\n".join(f"> {one_line(line)}".rstrip() for line in text.strip().splitlines())


def title_of(event: AuditEvent, voice: Voice, name: str) -> str:
    """Return the title of a notice about `name`, on one line."""
    words = WORDS[voice].get(event.event)
    return one_line(words.subject % {"name": name} if words else event.event)


def details_of(event: AuditEvent) -> list[str]:
    """Return what an event says beyond its reason, as sentences: who, which secret, until when. Never a value."""
    found = []
    for name, change in event.difference.items():
        before, after = change if isinstance(change, list) and len(change) == 2 else (None, None)
        if event.event == "member.role_changed":
            found.append(_("%(who)s was %(before)s and is %(after)s now.") % {"who": name, "before": before, "after": after})
        elif name == "member":
            found.append(_("Who: %(who)s") % {"who": after or before})
        elif name == "secret" and event.event.startswith("secret."):
            found.append(_("Secret: %(label)s") % {"label": after or before})
        elif event.event == EMAIL_CHANGED and name == "email":
            words = _("It was %(before)s and is %(after)s now.") if before else _("It is %(after)s now.")
            found.append(words % {"before": before, "after": after})
        elif name == "factor":
            found.append(_("Which: %(what)s") % {"what": FACTORS.get(str(after or before), after or before)})
        elif name == "other_secrets_end":
            found.append(_("The other secrets of the app end at %(moment)s.") % {"moment": after})
    return [one_line(sentence) for sentence in found]


def actor_of(event: AuditEvent, *, by_staff: bool) -> str:
    """Return who did it; our staff write as one."""
    if by_staff:
        return _("our staff")
    if event.actor_kind in (ActorKind.JOB, ActorKind.STAFF) or not event.actor_label:
        return _("this server")
    return one_line(event.actor_label)
