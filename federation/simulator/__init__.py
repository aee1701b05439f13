"""A programmable federation on `federation.core`, for tests, the demo and operators."""
