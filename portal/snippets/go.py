"""Go, with golang.org/x/oauth2."""

from __future__ import annotations

from typing import Final

from portal.snippets.facts import AppFacts
from portal.snippets.quoting import Code, for_go

_OWN_TOKEN: Final = Code("""\
// go get golang.org/x/oauth2
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	parameters := url.Values{@{assertion}}
	config := clientcredentials.Config{
		ClientID:       @{client_id},
		ClientSecret:   @{secret},
		TokenURL:       @{token_endpoint},
		Scopes:         []string{@{scope}},
		AuthStyle:      @{style},
		EndpointParams: parameters,
	}
	token, err := config.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Expiry, os.Args[0])
}
""")
_SIGN_IN: Final = Code("""\
// go get golang.org/x/oauth2
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"golang.org/x/oauth2"
)

func main() {
	config := oauth2.Config{
		ClientID:     @{client_id},
		ClientSecret: @{secret},
		RedirectURL:  @{redirect_uri},
		Scopes:       []string{@{scope}},
		Endpoint: oauth2.Endpoint{
			AuthURL:   @{authorization_endpoint},
			TokenURL:  @{token_endpoint},
			AuthStyle: @{style},
		},
	}
	verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	fmt.Println("Open", config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)))

	var code, returned string // of the address that the person came back to
	fmt.Print("code and state: ")
	if _, err := fmt.Scan(&code, &returned); err != nil || returned != state {
		log.Fatal("this answer belongs to another request")
	}
	token, err := config.Exchange(context.Background(), code, oauth2.VerifierOption(verifier)@{assertion})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Expiry, os.Args[0])
}
""")
_ENVIRONMENT: Final = 'os.Getenv("CLIENT_SECRET")'
_TYPE: Final = '"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"'
_ASSERTION_VALUES: Final = f"""
		"client_assertion_type": {{{_TYPE}}},
		"client_assertion":      {{os.Getenv("CLIENT_ASSERTION")}},
	"""
_ASSERTION_OPTIONS: Final = f""",
		oauth2.SetAuthURLParam("client_assertion_type", {_TYPE}),
		oauth2.SetAuthURLParam("client_assertion", os.Getenv("CLIENT_ASSERTION"))"""


def own_token(facts: AppFacts) -> str:
    """Return code that gets a token of the app itself."""
    assertion = _ASSERTION_VALUES if facts.method == "private_key_jwt" else ""
    return _OWN_TOKEN.substitute({**facts.quoted(for_go), "scope": _scopes(facts)}, **_authentication(facts), assertion=assertion)


def sign_in(facts: AppFacts) -> str:
    """Return code that signs a person in by code and PKCE."""
    assertion = _ASSERTION_OPTIONS if facts.method == "private_key_jwt" else ""
    return _SIGN_IN.substitute({**facts.quoted(for_go), "scope": _scopes(facts)}, **_authentication(facts), assertion=assertion)


def _authentication(facts: AppFacts) -> dict[str, str]:
    in_header = facts.method == "client_secret_basic"
    return {
        "secret": _ENVIRONMENT if facts.method.startswith("client_secret") else '""',
        "style": "oauth2.AuthStyleInHeader" if in_header else "oauth2.AuthStyleInParams",
    }


def _scopes(facts: AppFacts) -> str:
    return ", ".join(for_go(name) for name in facts.scope.split())
