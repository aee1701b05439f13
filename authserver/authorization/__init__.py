"""The authorization endpoint: reading and proving a request, asking the person, answering the app."""
