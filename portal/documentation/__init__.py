"""Documentation inside the product: its pages, the commands on them, and the search over both."""
