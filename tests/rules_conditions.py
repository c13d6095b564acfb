"""Rules of conditional requests (RFC 9110 section 13) and of the validators they compare (section 8.8)."""

from __future__ import annotations

from rules_model import answer, failed, not_modified, ok, partial, rule

#: What is no HTTP-date, though some of it reads like one that is long past (RFC 9110 section 5.6.7).
NO_DATES = (
    "",
    "yesterday",
    "784111776",
    "784111778",
    "sun, 06 nov 1994 08:49:36 gmt",
    "Sun, 06 Nov 1994 08:49:36 UTC",
    "Sun, 06 Nov 1994 08:49:36 +0000",
    "Sun, 06 Nov 1994 08:49:36",
    "Sun, 6 Nov 1994 08:49:36 GMT",
    "Sun,  06 Nov 1994 08:49:36 GMT",
    "Mon, 06 Nov 1994 08:49:36 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Thu, 31 Feb 1994 08:49:36 GMT",
    "Thu, 31 Nov 1994 08:49:36 GMT",
    "Sunday, 06-Nov-1994 08:49:36 GMT",
    "Sunday, 06-Nov-94X08:49:36 GMT",
    '"Sun, 06 Nov 1994 08:49:36 GMT"',
    "Sun, 06 Nov 1994 08:49:36 GMT; length=100",
    "Sun, 06 Nov 1994 08:49:36 GMT, Sun, 06 Nov 1994 08:49:36 GMT",
)
#: What is no `"*" / #entity-tag` though the tag is in it (sections 13.1.1, 13.1.2 and 8.8.3).
NO_LISTS = (
    "{inside}",
    '"{inside}',
    '{inside}"',
    "'{inside}'",
    "w/{etag}",
    "W/ {etag}",
    "W{etag}",
    "{etag}x",
    '{etag} "x"',
    "{etag};{etag}",
    "{etag}, x",
    "x, {etag}",
    "*, {etag}",
    "{etag}, *",
    "**",
    "*;q=1",
)
#: Requests that get an error, a redirect or an answer without a representation, whatever their conditions are.
OTHERS: tuple[tuple[int, str, str, dict[str, str]], ...] = (
    (404, "GET", "/nothing", {}),
    (404, "HEAD", "/nothing", {}),
    (404, "GET", "/.hidden", {}),
    (301, "GET", "/dir", {"location": "/dir/"}),
    (400, "GET", "/%00", {}),
    (403, "GET", "/outside", {}),
    (405, "DELETE", "/hundred", {}),
    (501, "BREW", "/hundred", {}),
    (204, "OPTIONS", "/hundred", {}),
    (204, "OPTIONS", "*", {}),
)
CONDITIONS = (
    ("If-Match: *",),
    ('If-Match: "x"',),
    ("If-None-Match: *",),
    ("If-Modified-Since: {future}",),
    ("If-Unmodified-Since: {before}",),
    ("If-Match: *", "If-None-Match: *", "If-Range: *", "Range: bytes=0-0"),
)

IF_MATCH = [
    rule(
        "if_match_lets_through_where_it_lists_the_tag",
        "RFC 9110 section 13.1.1",
        ok("If-Match: {etag}"),
        ok("if-match: {etag}"),
        ok('If-Match: "x", {etag}'),
        ok('If-Match: {etag},"x"'),
        ok('If-Match: "x" \t,\t{etag}\t, W/"y"'),
        ok('If-Match: "a,b", "", {etag}'),
        ok("If-Match: {etag}", method="HEAD"),
        ok("If-Match: {etag}", path="/empty"),
        ok("If-Match: {etag}", path="/hundred?query"),
        ok("If-Match: {etag}", path="/dir/"),
    ),
    rule("if_match_with_an_asterisk_lets_through", "RFC 9110 section 13.1.1", ok("If-Match: *"), ok("If-Match:*")),
    rule(
        "if_match_that_does_not_list_the_tag_fails",
        "RFC 9110 section 13.1.1",
        failed('If-Match: "x"'),
        failed('If-Match: ""'),
        failed('If-Match: "x", "y", W/"z"'),
        failed("If-Match: {cut}"),
        failed("If-Match: {large}"),
        failed('If-Match: "*"'),
        failed("If-Match:"),
        failed("If-Match: ,"),
        failed('If-Match: "x"', method="HEAD"),
    ),
    rule(
        "if_match_compares_strongly",
        "RFC 9110 section 13.1.1",
        failed("If-Match: W/{etag}"),
        failed('If-Match: W/{etag}, "x"'),
        ok("If-Match: W/{etag}, {etag}"),
    ),
    rule(
        "several_lines_of_if_match_are_one_list",
        "RFC 9110 section 5.3",
        ok('If-Match: "x"', "If-Match: {etag}"),
        ok("If-Match: {etag}", "X: y", "If-Match:"),
        failed('If-Match: "x"', 'If-Match: "y"'),
        failed("If-Match: {etag}", "If-Match: *"),
        failed("If-Match: {etag}", "If-Match: x"),
        failed("If-Match: *", "If-Match: *"),
    ),
    rule(
        "elements_of_if_match_may_be_empty",
        "RFC 9110 section 5.6.1",
        ok("If-Match: ,{etag}"),
        ok("If-Match: , ,{etag}, ,"),
        ok("If-Match: ,*"),
    ),
    rule(
        "a_malformed_if_match_fails",
        "RFC 9110 section 8.8.3",
        *(failed(f"If-Match: {value}") for value in NO_LISTS),
    ),
]

IF_NONE_MATCH = [
    rule(
        "if_none_match_that_lists_the_tag_is_304",
        "RFC 9110 section 13.1.2",
        not_modified("If-None-Match: {etag}"),
        not_modified("IF-NONE-MATCH: {etag}"),
        not_modified('If-None-Match: "x",{etag}'),
        not_modified('If-None-Match: {etag} , "x"'),
        not_modified('If-None-Match: "a,b", {etag}'),
        not_modified("If-None-Match: {etag}", method="HEAD"),
        not_modified("If-None-Match: {etag}", path="/empty"),
        not_modified("If-None-Match: {etag}", path="/large"),
        not_modified("If-None-Match: {etag}", path="/"),
    ),
    rule(
        "if_none_match_with_an_asterisk_is_304",
        "RFC 9110 section 13.1.2",
        not_modified("If-None-Match: *"),
        not_modified("If-None-Match: *", method="HEAD"),
    ),
    rule(
        "if_none_match_that_does_not_list_the_tag_lets_through",
        "RFC 9110 section 13.1.2",
        ok('If-None-Match: "x"'),
        ok('If-None-Match: ""'),
        ok('If-None-Match: "x", W/"y"'),
        ok("If-None-Match: {cut}"),
        ok("If-None-Match: {large}"),
        ok('If-None-Match: "*"'),
        ok("If-None-Match:"),
        ok('If-None-Match: "x"', method="HEAD"),
    ),
    rule(
        "if_none_match_compares_weakly",
        "RFC 9110 section 13.1.2",
        not_modified("If-None-Match: W/{etag}"),
        not_modified('If-None-Match: "x", W/{etag}'),
        ok('If-None-Match: W/"x"'),
    ),
    rule(
        "several_lines_of_if_none_match_are_one_list",
        "RFC 9110 section 5.3",
        not_modified('If-None-Match: "x"', "If-None-Match: {etag}"),
        not_modified("If-None-Match: {etag}", 'If-None-Match: "x"'),
        ok('If-None-Match: "x"', 'If-None-Match: "y"'),
        ok("If-None-Match: {etag}", "If-None-Match: *"),
        ok("If-None-Match: *", "If-None-Match: *"),
    ),
    rule(
        "elements_of_if_none_match_may_be_empty",
        "RFC 9110 section 5.6.1",
        not_modified("If-None-Match: ,,{etag},"),
        not_modified("If-None-Match: *,"),
    ),
    rule(
        "a_malformed_if_none_match_lets_through",
        "RFC 9110 section 8.8.3",
        *(ok(f"If-None-Match: {value}") for value in NO_LISTS),
    ),
]

DATES = [
    rule(
        "if_modified_since_is_304_where_the_file_is_not_younger",
        "RFC 9110 section 13.1.3",
        not_modified("If-Modified-Since: {date}"),
        not_modified("If-Modified-Since: {after}"),
        not_modified("If-Modified-Since: {future}"),
        not_modified("If-Modified-Since: {date}", method="HEAD"),
        not_modified("If-Modified-Since: {date}", path="/empty"),
    ),
    rule(
        "if_modified_since_lets_through_where_the_file_is_younger",
        "RFC 9110 section 13.1.3",
        ok("If-Modified-Since: {before}"),
        ok("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
        ok("If-Modified-Since: {before}", method="HEAD"),
    ),
    rule(
        "if_unmodified_since_lets_through_where_the_file_is_not_younger",
        "RFC 9110 section 13.1.4",
        ok("If-Unmodified-Since: {date}"),
        ok("If-Unmodified-Since: {after}"),
        ok("If-Unmodified-Since: {future}"),
        ok("If-Unmodified-Since: {date}", method="HEAD"),
    ),
    rule(
        "if_unmodified_since_fails_where_the_file_is_younger",
        "RFC 9110 section 13.1.4",
        failed("If-Unmodified-Since: {before}"),
        failed("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
        failed("If-Unmodified-Since: {before}", method="HEAD"),
    ),
    rule(
        "a_date_is_read_in_all_three_forms",
        "RFC 9110 section 5.6.7",
        not_modified("If-Modified-Since: {rfc850}"),
        not_modified("If-Modified-Since: {asctime}"),
        ok("If-Modified-Since: {before_rfc850}"),
        ok("If-Modified-Since: {before_asctime}"),
        ok("If-Unmodified-Since: {rfc850}"),
        ok("If-Unmodified-Since: {asctime}"),
        failed("If-Unmodified-Since: {before_rfc850}"),
        failed("If-Unmodified-Since: {before_asctime}"),
    ),
    rule(
        "if_modified_since_without_a_valid_date_is_ignored",
        "RFC 9110 section 13.1.3",
        *(ok(f"If-Modified-Since: {value.replace('08:49:36', '08:49:38')}") for value in NO_DATES),
    ),
    rule(
        "if_unmodified_since_without_a_valid_date_is_ignored",
        "RFC 9110 section 13.1.4",
        *(ok(f"If-Unmodified-Since: {value}") for value in NO_DATES),
    ),
    rule(
        "a_repeated_date_is_ignored",
        "RFC 9110 section 5.3",
        ok("If-Modified-Since: {date}", "If-Modified-Since: {date}"),
        ok("If-Unmodified-Since: {before}", "If-Unmodified-Since: {before}"),
    ),
]

PRECEDENCE = [
    rule(
        "if_match_goes_before_if_unmodified_since",
        "RFC 9110 section 13.2.2",
        ok("If-Match: {etag}", "If-Unmodified-Since: {before}"),
        ok("If-Unmodified-Since: {before}", "If-Match: *"),
        failed('If-Match: "x"', "If-Unmodified-Since: {date}"),
        failed("If-Unmodified-Since: {after}", "If-Match: x"),
    ),
    rule(
        "if_none_match_goes_before_if_modified_since",
        "RFC 9110 section 13.2.2",
        ok('If-None-Match: "x"', "If-Modified-Since: {date}"),
        ok("If-Modified-Since: {future}", "If-None-Match: x"),
        not_modified("If-None-Match: {etag}", "If-Modified-Since: {before}"),
        not_modified("If-Modified-Since: {before}", "If-None-Match: *"),
        not_modified("If-Modified-Since: yesterday", "If-None-Match: {etag}"),
    ),
    rule(
        "what_must_match_goes_before_what_must_not",
        "RFC 9110 section 13.2.2",
        failed('If-Match: "x"', "If-None-Match: {etag}"),
        failed("If-None-Match: {etag}", 'If-Match: "x"'),
        failed('If-Match: "x"', "If-Modified-Since: {date}"),
        failed("If-Unmodified-Since: {before}", "If-None-Match: {etag}"),
        failed("If-Modified-Since: {date}", "If-Unmodified-Since: {before}"),
        not_modified("If-Match: {etag}", "If-None-Match: {etag}"),
        not_modified("If-Match: *", "If-Modified-Since: {date}"),
        not_modified("If-Unmodified-Since: {date}", "If-None-Match: *"),
        not_modified("If-Unmodified-Since: {date}", "If-Modified-Since: {date}"),
        ok("If-Match: {etag}", 'If-None-Match: "x"'),
    ),
    rule(
        "all_four_are_evaluated_in_their_order",
        "RFC 9110 section 13.2.2",
        not_modified(
            "If-Modified-Since: {before}", "If-None-Match: {etag}", "If-Unmodified-Since: {before}", "If-Match: {etag}"
        ),
        failed("If-Modified-Since: {date}", "If-None-Match: {etag}", "If-Unmodified-Since: {date}", 'If-Match: "x"'),
        ok("If-Modified-Since: {date}", 'If-None-Match: "x"', "If-Unmodified-Since: {before}", "If-Match: *"),
    ),
    rule(
        "conditions_go_before_ranges",
        "RFC 9110 section 13.2.2",
        not_modified("If-None-Match: {etag}", "Range: bytes=0-9"),
        not_modified("If-Modified-Since: {date}", "Range: bytes=0-9"),
        not_modified("If-None-Match: {etag}", "Range: bytes=100-"),
        not_modified("If-None-Match: {etag}", 'If-Range: "x"', "Range: bytes=0-9"),
        failed('If-Match: "x"', "Range: bytes=0-9"),
        failed("If-Unmodified-Since: {before}", "Range: bytes=0-9"),
        failed('If-Match: "x"', "Range: bytes=100-"),
        failed('If-Match: "x"', "If-Range: {etag}", "Range: bytes=0-9"),
        partial(("If-Match: {etag}", "Range: bytes=0-9"), (0, 9)),
        partial(("If-Unmodified-Since: {date}", "Range: bytes=0-9"), (0, 9)),
        partial(('If-None-Match: "x"', "Range: bytes=0-9"), (0, 9)),
        partial(("If-Modified-Since: {before}", "Range: bytes=0-9"), (0, 9)),
        partial(("If-Match: {etag}", "If-Range: {etag}", "Range: bytes=0-9,20-"), (0, 9), (20, 99)),
    ),
    rule(
        "conditions_are_ignored_where_the_answer_is_no_success",
        "RFC 9110 section 13.2.1",
        *(
            answer(status, *fields, method=method, path=path, has=has)
            for status, method, path, has in OTHERS
            for fields in CONDITIONS
        ),
    ),
]

ANSWERS = [
    rule(
        "a_file_has_both_validators",
        "RFC 9110 section 8.8",
        ok(has={"etag": "{etag}", "last-modified": "{date}"}),
        ok(has={"etag": "{etag}", "last-modified": "{date}"}, method="HEAD"),
        ok(has={"last-modified": "{date}"}, path="/empty"),
        ok(has={"last-modified": "{date}"}, path="/dir/"),
    ),
    rule(
        "304_tells_what_a_cache_needs_and_nothing_of_the_content",
        "RFC 9110 section 15.4.5",
        not_modified(
            "If-None-Match: {etag}",
            has={"etag": "{etag}"},
            lacks=("content-length", "content-type", "last-modified", "accept-ranges", "content-range"),
        ),
        not_modified("If-Modified-Since: {date}", has={"etag": "{etag}"}, lacks=("content-length", "last-modified")),
        not_modified("If-None-Match: {etag}", has={"cache-control": "max-age=60"}, setup="cache_control"),
        not_modified("If-None-Match: {etag}", has={"vary": "Origin"}, setup="origins"),
        not_modified(
            "If-None-Match: {etag}",
            has={"vary": "Accept-Encoding, Origin", "cache-control": "no-cache"},
            setup="everything",
        ),
    ),
    rule(
        "412_says_nothing_of_the_representation",
        "RFC 9110 section 15.5.13",
        failed('If-Match: "x"', lacks=("etag", "last-modified", "accept-ranges", "cache-control")),
        failed('If-Match: "x"', lacks=("etag", "last-modified", "cache-control"), setup="everything", file="412.html"),
    ),
]

RULES = [*IF_MATCH, *IF_NONE_MATCH, *DATES, *PRECEDENCE, *ANSWERS]
