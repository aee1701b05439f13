"""Staff pages about federations. Importing this package registers them."""

import portal.admin.federation.organizations
import portal.admin.federation.trust_anchors
import portal.admin.federation.trust_marks  # noqa: F401
