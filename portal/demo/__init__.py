"""The demonstration: small data for a first look, and the main job told as a story. All people and hosts are fictional."""
