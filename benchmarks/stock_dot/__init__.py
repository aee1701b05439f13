"""The smallest project on stock django-oauth-toolkit, to measure ours against."""
