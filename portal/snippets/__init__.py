"""Snippets of code filled with the values of one app (portal.md 4.3, page 21).

Names and addresses come from partners, federations and whoever registers: each value goes through the quoting of its language, and nowhere
else than into a literal.
"""
