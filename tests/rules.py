"""The table of rules: what a static-file server must do, where that is written, and requests that show it."""

from __future__ import annotations

import rules_conditions
import rules_negotiation
import rules_ranges
import rules_site

RULES = [*rules_conditions.RULES, *rules_ranges.RULES, *rules_negotiation.RULES, *rules_site.RULES]
