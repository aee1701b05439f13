"""What every code of this product means and what to do: the text behind the anchors that findings and errors link to."""

from portal.catalogue.entries import Entry, Group, anchors_of
from portal.catalogue.findings import FINDING_GROUPS
from portal.catalogue.reasons import REASON_GROUP
from portal.catalogue.statements import STATEMENT_GROUPS
from portal.catalogue.steps import STEP_GROUP

__all__ = ["FINDING_GROUPS", "REASON_GROUP", "STATEMENT_GROUPS", "STEP_GROUP", "Entry", "Group", "anchors_of"]
