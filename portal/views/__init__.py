"""Pages partners use."""
