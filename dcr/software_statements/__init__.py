"""Software statements: who vouches for software, what counts of it, and how that ends (RFC 7591, 2.3 and 3.1.1).

`verify_statement` is the one way from a presented string to a `VerifiedStatement`; `merge_statement` is pure; the others write in the
transaction of their caller.
"""

from dcr.software_statements.acceptance import accept_statement
from dcr.software_statements.ending import end_statements
from dcr.software_statements.issuers import disable_issuer, enable_issuer, save_issuer
from dcr.software_statements.merging import merge_statement
from dcr.software_statements.organizations import organization_of, require_same_organization
from dcr.software_statements.verification import VerifiedStatement, verify_statement

__all__ = [
    "VerifiedStatement",
    "accept_statement",
    "disable_issuer",
    "enable_issuer",
    "end_statements",
    "merge_statement",
    "organization_of",
    "require_same_organization",
    "save_issuer",
    "verify_statement",
]
