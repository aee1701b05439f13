"""Views of the API, by resource: find what is meant, read the body, call one service, answer."""
