"""Forms of the portal's pages."""
