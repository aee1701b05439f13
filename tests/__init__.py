"""Tests mirror the apps; their names are sentences."""
