"""Rules of range requests (RFC 9110 section 14) and of the answers 206 and 416 (sections 15.3.7 and 15.5.17)."""

from __future__ import annotations

from rules_model import answer, not_modified, ok, partial, rule, unsatisfiable

#: What is no ranges-specifier of bytes (RFC 9110 section 14.1.1).
NO_RANGES = (
    "",
    "bytes",
    "bytes=",
    "bytes=,",
    "bytes= , ,",
    "bytes=5",
    "bytes=-",
    "bytes=--5",
    "bytes=1-2-3",
    "bytes:0-1",
    "bytes 0-1",
    "bytes =0-1",
    "bytes= 0-1",
    "bytes=\t0-1",
    "bytes=0 -1",
    "bytes=0- 1",
    "bytes=- 1",
    "bytes=+0-1",
    "bytes=0-+1",
    "bytes=0x0-1",
    "bytes=0-1/100",
    "bytes=a-z",
    "bytes=0-1;2-3",
    "bytes=0-1 2-3",
    "bytes=0-1,x",
    "bytes=x,0-1",
    "bytes=0-1,bytes=3-4",
    "bytes=0-1, bytes 3-4",
    'bytes="0-1"',
    "=0-1",
    "0-1",
    "bytes=*",
)


def specs(count: int, step: int = 2) -> str:
    """Make a Range of so many single bytes, none of which touches another."""
    return "Range: bytes=" + ",".join(f"{place}-{place}" for place in range(0, step * count, step))


def places(count: int, step: int = 2) -> tuple[tuple[int, int], ...]:
    """Give the parts that :func:`specs` asks for."""
    return tuple((place, place) for place in range(0, step * count, step))


ONE = [
    rule(
        "an_int_range_selects_its_bytes",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=0-9", (0, 9)),
        partial("range: bytes=10-19", (10, 19)),
        partial("Range: bytes=0-0", (0, 0)),
        partial("Range: bytes=50-50", (50, 50)),
        partial("Range: bytes=99-99", (99, 99)),
        partial("Range: bytes=0-99", (0, 99)),
        partial("Range: bytes=0-0", (0, 0), path="/one"),
        partial("Range: bytes=12-15", (12, 15), path="/dir/"),
        partial("Range: bytes=1-2", (1, 2), path="/hundred?bytes=3-4"),
    ),
    rule(
        "an_open_int_range_goes_to_the_end",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=0-", (0, 99)),
        partial("Range: bytes=1-", (1, 99)),
        partial("Range: bytes=99-", (99, 99)),
        partial("Range: bytes=0-", (0, 0), path="/one"),
    ),
    rule(
        "a_last_position_behind_the_end_is_the_end",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=90-100", (90, 99)),
        partial("Range: bytes=0-4294967296", (0, 99)),
        partial("Range: bytes=99-9223372036854775807", (99, 99)),
        partial("Range: bytes=99-18446744073709551616", (99, 99)),
        partial("Range: bytes=0-99999999999999999999999999999999", (0, 99)),
    ),
    rule(
        "a_suffix_range_selects_the_last_bytes",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=-1", (99, 99)),
        partial("Range: bytes=-50", (50, 99)),
        partial("Range: bytes=-100", (0, 99)),
        partial("Range: bytes=-1", (0, 0), path="/one"),
    ),
    rule(
        "a_suffix_longer_than_all_is_all",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=-101", (0, 99)),
        partial("Range: bytes=-18446744073709551615", (0, 99)),
        partial("Range: bytes=-18446744073709551617", (0, 99)),
        partial("Range: bytes=-99999999999999999999999999999999", (0, 99)),
        partial("Range: bytes=-2", (0, 0), path="/one"),
    ),
    rule(
        "a_number_may_begin_with_zeros",
        "RFC 9110 section 14.1.1",
        partial("Range: bytes=0010-00000000000000000000000000000000019", (10, 19)),
        partial("Range: bytes=-0000000000000000000000000000000001", (99, 99)),
    ),
    rule(
        "the_range_unit_ignores_case",
        "RFC 9110 section 14.1",
        partial("Range: BYTES=0-9", (0, 9)),
        partial("Range: bYtEs=-9", (91, 99)),
    ),
    rule(
        "a_range_of_a_large_file_is_sent_from_its_place",
        "RFC 9110 section 14.2",
        partial("Range: bytes=0-0", (0, 0), path="/large"),
        partial("Range: bytes=16000-16999", (16_000, 16_999), path="/large"),
        partial("Range: bytes=100000-299999", (100_000, 299_999), path="/large"),
        partial("Range: bytes=319999-", (319_999, 319_999), path="/large"),
        partial("Range: bytes=-200001", (119_999, 319_999), path="/large"),
        partial("Range: bytes=1-", (1, 319_999), path="/large"),
    ),
]

SEVERAL = [
    rule(
        "several_ranges_come_in_the_order_they_were_asked_for",
        "RFC 9110 section 15.3.7.2",
        partial("Range: bytes=0-9,50-59", (0, 9), (50, 59)),
        partial("Range: bytes=50-59,0-9,-1", (50, 59), (0, 9), (99, 99)),
        partial("Range: bytes=-1,1-1,0-0,90-97", (99, 99), (0, 1), (90, 97)),
        partial("Range: bytes=0-0,-1", (0, 0), (5, 5), path="/a.txt"),
        partial("Range: bytes=0-40,100-", (0, 40), (100, 549), path="/mime"),
        partial(
            "Range: bytes=300000-300015,0-15,16000-48000", (300_000, 300_015), (0, 15), (16_000, 48_000), path="/large"
        ),
        partial("Range: bytes=0-149999,150001-", (0, 149_999), (150_001, 319_999), path="/large"),
    ),
    rule(
        "a_range_set_is_a_list_with_white_space_and_empty_elements",
        "RFC 9110 section 5.6.1",
        partial("Range: bytes=0-1 ,\t3-4", (0, 1), (3, 4)),
        partial("Range: bytes=,0-1,, ,3-4,", (0, 1), (3, 4)),
        partial("Range: bytes= ,0-1", (0, 1)),
        partial("Range: bytes=0-1,", (0, 1)),
    ),
    rule(
        "ranges_that_overlap_are_merged",
        "RFC 9110 section 15.3.7.2",
        partial("Range: bytes=0-5,3-9", (0, 9)),
        partial("Range: bytes=3-9,0-5", (0, 9)),
        partial("Range: bytes=0-,50-59", (0, 99)),
        partial("Range: bytes=50-59,-100", (0, 99)),
        partial("Range: bytes=3-4,3-4", (3, 4)),
        partial("Range: bytes=50-59,0-9,55-69", (50, 69), (0, 9)),
        partial("Range: bytes=0-9,50-59,20-29,5-24", (0, 29), (50, 59)),
        partial("Range: bytes=0-0,9-9,5-5,50-51,3-3,0-9", (0, 9), (50, 51)),
        partial("Range: bytes=" + ",".join(["0-"] * 16), (0, 319_999), path="/large"),
    ),
    rule(
        "adjacent_ranges_are_merged",
        "RFC 9110 section 15.3.7.2",
        partial("Range: bytes=0-4,5-9", (0, 9)),
        partial("Range: bytes=5-9,0-4", (0, 9)),
        partial("Range: bytes=0-49,50-", (0, 99)),
        partial("Range: bytes=0-4,6-9", (0, 4), (6, 9)),
    ),
    rule(
        "of_several_ranges_the_unsatisfiable_are_left_out",
        "RFC 9110 section 14.1.2",
        partial("Range: bytes=100-,0-1,-0,3-4", (0, 1), (3, 4)),
        partial("Range: bytes=0-1,200-300", (0, 1)),
        partial("Range: bytes=99999999999999999999-,-1", (99, 99)),
    ),
    rule(
        "sixteen_ranges_are_obeyed",
        "RFC 9110 section 14.2",
        partial(specs(16), *places(16)),
        partial(specs(16, 20_000), *places(16, 20_000), path="/large"),
    ),
    rule(
        "more_than_sixteen_ranges_are_ignored",
        "RFC 9110 section 14.2",
        ok(specs(17)),
        ok("Range: bytes=" + ",".join(["0-0"] * 17)),
        ok("Range: bytes=" + ",".join(["200-"] * 17)),
        ok("Range: bytes=" + ",".join(["0-"] * 1000), path="/large"),
    ),
    rule(
        "a_single_part_is_never_multipart",
        "RFC 9110 section 15.3.7.1",
        partial("Range: bytes=1-2", (1, 2), has={"content-range": "bytes 1-2/100"}),
        partial("Range: bytes=0-1,2-3", (0, 3), has={"content-type": "application/octet-stream"}),
    ),
    rule(
        "a_multipart_answer_has_no_content_range_of_its_own",
        "RFC 9110 section 15.3.7.2",
        partial("Range: bytes=1-2,4-5", (1, 2), (4, 5), lacks=("content-range",)),
    ),
]

IGNORED = [
    rule(
        "a_malformed_range_is_ignored",
        "RFC 9110 section 14.2",
        *(ok(f"Range: {value}") for value in NO_RANGES),
    ),
    rule(
        "an_int_range_that_ends_before_it_begins_is_invalid",
        "RFC 9110 section 14.1.1",
        ok("Range: bytes=4-2"),
        ok("Range: bytes=100-99"),
        ok("Range: bytes=0-1,4-2"),
        ok("Range: bytes=99999999999999999999-99999999999999999998"),
        ok("Range: bytes=18446744073709551616-0"),
    ),
    rule(
        "a_range_of_another_unit_is_ignored",
        "RFC 9110 section 14.2",
        ok("Range: lines=0-1"),
        ok("Range: byte=0-1"),
        ok("Range: bytess=0-1"),
        ok("Range: none=0-1"),
        ok("Range: seconds=1-"),
    ),
    rule(
        "a_repeated_range_is_ignored",
        "RFC 9110 section 5.3",
        ok("Range: bytes=0-1", "Range: bytes=0-1"),
        ok("Range: bytes=0-1", "Range: bytes=3-4"),
        ok("Range: bytes=100-", "Range: bytes=0-1"),
        ok("Range: bytes=0-1", "Range:"),
    ),
    rule(
        "head_ignores_range",
        "RFC 9110 section 14.2",
        ok("Range: bytes=0-9", method="HEAD", has={"content-length": "100"}),
        ok("Range: bytes=0-9,20-29", method="HEAD"),
        ok("Range: bytes=100-", method="HEAD"),
        ok("Range: bytes=0-9", "If-Range: {etag}", method="HEAD"),
        ok("Range: bytes=0-9", path="/large", method="HEAD", has={"content-length": "320000"}),
    ),
    rule(
        "range_means_nothing_where_no_file_is_sent",
        "RFC 9110 section 14.2",
        answer(204, "Range: bytes=0-9", method="OPTIONS"),
        answer(405, "Range: bytes=0-9", method="DELETE"),
        answer(404, "Range: bytes=0-9", path="/nothing"),
        answer(404, "Range: bytes=0-9", path="/nothing", setup="pages", file="404.html"),
        answer(301, "Range: bytes=0-9", path="/dir", has={"location": "/dir/"}),
        answer(403, "Range: bytes=0-9", path="/outside"),
    ),
    rule(
        "a_content_range_in_a_request_selects_nothing",
        "RFC 9110 section 14.5",
        ok("Content-Range: bytes 0-9/100"),
        answer(405, "Content-Range: bytes 0-2/100", "Content-Length: 3", method="PUT", content=b"abc"),
    ),
]

UNSATISFIABLE = [
    rule(
        "416_tells_the_size",
        "RFC 9110 section 15.5.17",
        unsatisfiable(100, "Range: bytes=100-"),
        unsatisfiable(100, "Range: bytes=100-100"),
        unsatisfiable(100, "Range: bytes=101-200"),
        unsatisfiable(100, "Range: bytes=-0"),
        unsatisfiable(100, "Range: bytes=-00"),
        unsatisfiable(1, "Range: bytes=1-", path="/one"),
        unsatisfiable(320_000, "Range: bytes=320000-", path="/large"),
        unsatisfiable(100, "Range: bytes=100-,-0,200-300"),
    ),
    rule(
        "a_first_position_of_any_length_is_behind_the_end",
        "RFC 9110 section 14.1.2",
        unsatisfiable(100, "Range: bytes=4294967296-"),
        unsatisfiable(100, "Range: bytes=18446744073709551615-"),
        unsatisfiable(100, "Range: bytes=18446744073709551616-"),
        unsatisfiable(100, "Range: bytes=18446744073709551616-18446744073709551617"),
        unsatisfiable(100, "Range: bytes=99999999999999999999999999999999-"),
    ),
    rule(
        "416_says_nothing_of_the_representation",
        "RFC 9110 section 15.5.17",
        unsatisfiable(100, "Range: bytes=100-", lacks=("etag", "last-modified", "accept-ranges", "cache-control")),
        unsatisfiable(100, "Range: bytes=100-", lacks=("etag", "cache-control"), setup="everything", file="416.html"),
    ),
    rule(
        "of_an_empty_file_no_int_range_is_satisfiable",
        "RFC 9110 section 14.1.2",
        unsatisfiable(0, "Range: bytes=0-"),
        unsatisfiable(0, "Range: bytes=0-0"),
        unsatisfiable(0, "Range: bytes=1-"),
        unsatisfiable(0, "Range: bytes=-0"),
        path="/empty",
    ),
    rule(
        "a_suffix_of_an_empty_file_is_the_whole",
        "RFC 9110 section 14.4",
        ok("Range: bytes=-1"),
        ok("Range: bytes=-100"),
        ok("Range: bytes=0-,-1"),
        path="/empty",
    ),
]

IF_RANGE = [
    rule(
        "if_range_with_the_tag_lets_the_range_through",
        "RFC 9110 section 13.1.5",
        partial(("If-Range: {etag}", "Range: bytes=0-9"), (0, 9)),
        partial(("Range: bytes=0-9,20-29", "if-range: {etag}"), (0, 9), (20, 29)),
        unsatisfiable(100, "If-Range: {etag}", "Range: bytes=100-"),
    ),
    rule(
        "if_range_with_another_tag_is_answered_with_the_whole",
        "RFC 9110 section 13.1.5",
        ok('If-Range: "x"', "Range: bytes=0-9"),
        ok('If-Range: ""', "Range: bytes=0-9,20-29"),
        ok("If-Range: {cut}", "Range: bytes=0-9"),
        ok("If-Range: {large}", "Range: bytes=0-9"),
        ok('If-Range: "x"', "Range: bytes=100-"),
    ),
    rule(
        "if_range_compares_strongly",
        "RFC 9110 section 13.1.5",
        ok("If-Range: W/{etag}", "Range: bytes=0-9"),
        ok("If-Range: W/{etag}", "Range: bytes=100-"),
    ),
    rule(
        "if_range_with_the_date_lets_the_range_through",
        "RFC 9110 section 13.1.5",
        partial(("If-Range: {date}", "Range: bytes=0-9"), (0, 9)),
        partial(("If-Range: {rfc850}", "Range: bytes=0-9"), (0, 9)),
        partial(("If-Range: {asctime}", "Range: bytes=0-9"), (0, 9)),
    ),
    rule(
        "if_range_takes_no_other_date",
        "RFC 9110 section 13.1.5",
        ok("If-Range: {before}", "Range: bytes=0-9"),
        ok("If-Range: {after}", "Range: bytes=0-9"),
        ok("If-Range: {future}", "Range: bytes=0-9"),
        ok("If-Range: {before_asctime}", "Range: bytes=0-9"),
    ),
    rule(
        "a_malformed_if_range_is_answered_with_the_whole",
        "RFC 9110 section 13.1.5",
        *(
            ok(f"If-Range: {value}", "Range: bytes=0-9")
            for value in (
                "",
                "*",
                "{inside}",
                "{etag}, {etag}",
                '{etag}, "x"',
                "{etag}x",
                '"{inside}',
                "w/{etag}",
                "yesterday",
            )
        ),
    ),
    rule(
        "a_repeated_if_range_is_answered_with_the_whole",
        "RFC 9110 section 5.3",
        ok("If-Range: {etag}", "If-Range: {etag}", "Range: bytes=0-9"),
        ok("If-Range: {etag}", "If-Range: {date}", "Range: bytes=0-9"),
    ),
    rule(
        "if_range_without_range_is_ignored",
        "RFC 9110 section 13.1.5",
        ok("If-Range: {etag}"),
        ok('If-Range: "x"'),
        ok("If-Range: {etag}", method="HEAD"),
        not_modified("If-Range: {etag}", "If-None-Match: {etag}"),
    ),
    rule(
        "if_range_does_not_revive_an_ignored_range",
        "RFC 9110 section 14.2",
        ok("If-Range: {etag}", "Range: bytes=x"),
        ok("If-Range: {etag}", "Range: lines=0-9"),
        ok("If-Range: {etag}", specs(17)),
    ),
]

ANSWERS = [
    rule(
        "a_file_tells_that_it_takes_ranges",
        "RFC 9110 section 14.3",
        ok(has={"accept-ranges": "bytes"}),
        ok(has={"accept-ranges": "bytes"}, method="HEAD"),
        ok(has={"accept-ranges": "bytes"}, path="/empty"),
        partial("Range: bytes=0-0", (0, 0), has={"accept-ranges": "bytes"}),
    ),
    rule(
        "206_has_the_validators_of_200",
        "RFC 9110 section 15.3.7",
        partial("Range: bytes=0-9", (0, 9), has={"etag": "{etag}", "last-modified": "{date}"}),
        partial("Range: bytes=0-9,20-", (0, 9), (20, 99), has={"etag": "{etag}", "last-modified": "{date}"}),
        partial("Range: bytes=0-9", (0, 9), has={"cache-control": "max-age=60"}, setup="cache_control"),
        partial("Range: bytes=0-9,20-", (0, 9), (20, 99), has={"cache-control": "max-age=60"}, setup="cache_control"),
        partial("Range: bytes=0-9,20-", (0, 9), (20, 99), has={"vary": "Accept-Encoding, Origin"}, setup="everything"),
    ),
]

RULES = [*ONE, *SEVERAL, *IGNORED, *UNSATISFIABLE, *IF_RANGE, *ANSWERS]
