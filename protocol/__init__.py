"""Protocol building blocks in plain Python: errors, constants, strict JSON, JOSE, URLs and the one outbound fetch. No Django."""
