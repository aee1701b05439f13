"""Trying an app out: its requests, built, sent to our own endpoints in this process, and explained (portal.md 4.3, page 20).

What a member tries here they could send from anywhere: the endpoints decide, by the same code and with the same limits. What the try gets
is ended before it is shown, and the credential that a person types in for it is kept nowhere.
"""
