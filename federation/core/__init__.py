"""Pure rules of OpenID Federation 1.0: no Django; clock and fetch are arguments."""
