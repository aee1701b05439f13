"""One session, two accounts: a password of somebody else proves nothing about who is signed in."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from registry.models import User
from tests.authserver.authorization.support import Flow

PASSWORD = "correct horse battery"


def test_the_password_of_an_account_whose_second_step_is_open_is_no_new_sign_in(flow: Flow) -> None:
    other = User.objects.create_user("other@elsewhere.example", PASSWORD)
    EmailAddress.objects.create(user=other, email=other.email, verified=True, primary=True)
    TOTP.activate(other, generate_totp_secret())
    started = flow.start(prompt="login")
    answer = flow.browser.post("/accounts/login/", {"login": other.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert flow.go_on(started).headers.get("Location", "").startswith("/accounts/")
