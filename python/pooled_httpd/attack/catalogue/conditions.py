"""Conditional requests: what each field compares, how, and in which order (RFC 9110 section 13). Those with a Range are
in the family ``if_range``.

Fields are compared with the validators that the target itself gave for the known file. A strong comparison never holds
with a weak entity-tag, so where that is what the target has, its other answer is right too.
"""

from __future__ import annotations

from pooled_httpd.attack.case import (
    Case,
    Check,
    Ends,
    Family,
    Known,
    Level,
    answers,
    closes,
    is_known,
    keeps,
    series,
)
from pooled_httpd.attack.reading import Response

_HEAD = b"GET {known} HTTP/1.1\r\nHost: {host}\r\n"
_NOWHERE = b"GET /pooled-httpd-attack-nowhere HTTP/1.1\r\nHost: {host}\r\n"
#: Before every file, those that a build gave the first second of 1970 included.
_OLD = b"Thu, 01 Jan 1970 00:00:00 GMT"
_FUTURE = b"Fri, 31 Dec 9999 23:59:59 GMT"


def _is_weak(known: Known) -> bool:
    return (known.etag or "").startswith("W/")


def _strong(*codes: int) -> Check:
    """Make a check that the status is one of these, unless the target's entity-tag is weak."""

    def test(answer: Response, known: Known) -> bool:
        return answer.status in codes or _is_weak(known)

    return Check(f"with a strong entity-tag the status is {' or '.join(str(code) for code in codes)}", 0, test)


def _if_unmodified_since_fails(answer: Response, known: Known) -> bool:
    return answer.status == 412 or known.modified is None


def _whole_or_none(answer: Response, known: Known) -> bool:
    return answer.status != 200 or answer.content == known.content


def _names_its_etag(answer: Response, known: Known) -> bool:
    return answer.status != 304 or answer.field("etag") == known.etag


_WHOLE_IF_SERVED = Check("a 200 has the whole file", 0, _whole_or_none)
_FAILS_BY_DATE = Check("the status is 412, as the file has a Last-Modified", 0, _if_unmodified_since_fails)
_ETAG_IN_304 = Check("304 has the ETag of a 200", 0, _names_its_etag)


def _request(*fields: bytes, head: bytes = _HEAD) -> bytes:
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def _condition(
    rule: str,
    fields: tuple[bytes, ...],
    code: int,
    why: str,
    *codes: int,
    section: str,
    level: Level = Level.MUST,
    checks: tuple[Check, ...] = (),
) -> Case:
    """Make a case with a GET under these conditions, its status, and others that are allowed."""
    return Case(
        id=f"condition_{rule}",
        data=_request(*fields),
        section=section,
        level=level,
        strict=keeps(code),
        accept=(answers(code, *codes),),
        checks=(_WHOLE_IF_SERVED, *checks),
        why=why,
    )


_IF_MATCH = "RFC 9110 section 13.1.1"
_MATCHES = (
    _condition(
        "if_match_of_the_tag_holds",
        (b"If-Match: {etag}",),
        200,
        "A client that resumes a download is told that its file is gone.",
        412,
        section=_IF_MATCH,
        checks=(_strong(200),),
    ),
    _condition(
        "if_match_of_another_tag_fails",
        (b'If-Match: "pooled-none"',),
        412,
        "It goes on with a file that has been replaced.",
        section=_IF_MATCH,
    ),
    _condition(
        "if_match_of_any_holds",
        (b"If-Match: *",),
        200,
        "The asterisk asks for any version; taken for a tag, nothing ever matches it.",
        section=_IF_MATCH,
    ),
    _condition(
        "if_match_of_a_quoted_asterisk_fails",
        (b'If-Match: "*"',),
        412,
        "In quotes it is a tag; unquoted before it is compared, it lets everything through.",
        section=_IF_MATCH,
    ),
    _condition(
        "if_match_compares_strongly",
        (b"If-Match: W/{etag}",),
        412,
        "A weak tag says that the bytes may differ, and changes are then made to a version nobody saw.",
        section="RFC 9110 section 8.8.3.2",
    ),
    _condition(
        "if_match_finds_the_tag_in_a_list",
        (b'If-Match: "pooled-a", W/"pooled,b" ,{etag}',),
        200,
        "Tags may have commas inside their quotes; split at each comma, the list has other tags.",
        412,
        section=_IF_MATCH,
        checks=(_strong(200),),
    ),
    _condition(
        "if_match_of_a_bare_word_fails",
        (b"If-Match: pooled-none",),
        412,
        "What is no entity-tag matches nothing: doubt must stop a change, not let it pass.",
        400,
        section=_IF_MATCH,
    ),
    _condition(
        "if_match_of_an_empty_list_fails",
        (b"If-Match:",),
        412,
        "An empty value is a condition that nothing meets, and no missing field.",
        400,
        section=_IF_MATCH,
    ),
)

_IF_NONE_MATCH = "RFC 9110 section 13.1.2"
_NONE_MATCHES = (
    _condition(
        "if_none_match_of_the_tag_is_not_modified",
        (b"If-None-Match: {etag}",),
        304,
        "A cache that asks whether its copy is good gets the whole file each time.",
        section=_IF_NONE_MATCH,
        checks=(_ETAG_IN_304,),
    ),
    Case(
        id="condition_if_none_match_holds_for_head",
        data=b"HEAD {known} HTTP/1.1\r\nHost: {host}\r\nIf-None-Match: {etag}\r\n\r\n",
        section=_IF_NONE_MATCH,
        level=Level.MUST,
        strict=keeps(304),
        accept=(answers(304),),
        methods=("HEAD",),
        why="HEAD and GET must tell the same, or a cache that asks with one throws away what it got with the other.",
    ),
    _condition(
        "if_none_match_compares_weakly",
        (b"If-None-Match: W/{etag}",),
        304,
        "A proxy that compressed the answer made the tag weak; compared strongly, nothing is ever fresh again.",
        200,
        section="RFC 9110 section 8.8.3.2",
        checks=(_strong(304),),
    ),
    _condition(
        "if_none_match_of_another_tag_serves",
        (b'If-None-Match: "pooled-none"',),
        200,
        "A tag compared by its length or its beginning keeps an old file alive in every cache.",
        section=_IF_NONE_MATCH,
    ),
    _condition(
        "if_none_match_of_any_is_not_modified",
        (b"If-None-Match: *",),
        304,
        "The asterisk asks whether there is anything at all, and there is.",
        section=_IF_NONE_MATCH,
    ),
    _condition(
        "if_none_match_finds_the_tag_in_a_list",
        (b'If-None-Match: "pooled,a", {etag} ,"pooled-b"',),
        304,
        "Caches keep several versions and list them all; the first alone is not the list.",
        section=_IF_NONE_MATCH,
    ),
    _condition(
        "if_none_match_lines_are_one_list",
        (b'If-None-Match: "pooled-a"', b"X-Between: 1", b"If-None-Match: {etag}"),
        304,
        "Lists may come in several lines; who keeps the last or the first one reads another list than a proxy.",
        section="RFC 9110 section 5.3",
    ),
    _condition(
        "if_none_match_of_a_tag_inside_quotes_serves",
        (b'If-None-Match: "pooled {etag} none"',),
        200,
        "A search for the tag anywhere in the value finds it where it was not listed.",
        304,
        400,
        section="RFC 9110 section 8.8.3",
        level=Level.MAY,
    ),
    _condition(
        "if_none_match_with_a_bare_word_serves",
        (b"If-None-Match: x, {etag}",),
        200,
        "A list with one bad element can be read in two ways, and sending the file is right in both.",
        304,
        400,
        section="RFC 9110 section 8.8.3",
        level=Level.MAY,
    ),
    _condition(
        "if_none_match_of_a_thousand_tags_is_read_to_its_end",
        (b"If-None-Match: " + b'"pooled",' * 1000 + b" {etag}",),
        304,
        "Each tag may be compared with few bytes or with copies of all; the answer must not take longer than the list.",
        400,
        431,
        section=_IF_NONE_MATCH,
    ),
)

_SINCE = "RFC 9110 section 13.1.3"
_MODIFIED = (
    _condition(
        "if_modified_since_its_date_is_not_modified",
        (b"If-Modified-Since: {modified}",),
        304,
        "A file that has not changed since is sent again to every cache that asks.",
        200,
        section=_SINCE,
        level=Level.SHOULD,
    ),
    _condition(
        "if_modified_since_the_future_is_not_modified",
        (b"If-Modified-Since: " + _FUTURE,),
        304,
        "A date of four nines overflows the seconds of a small clock and is then long ago.",
        200,
        section=_SINCE,
        level=Level.SHOULD,
    ),
    _condition(
        "if_modified_since_long_ago_serves",
        (b"If-Modified-Since: " + _OLD,),
        200,
        "The first second is 0, which is also what failed parsers return.",
        section=_SINCE,
    ),
    _condition(
        "if_modified_since_no_date_serves",
        (b"If-Modified-Since: yesterday",),
        200,
        "What is no date is no condition; with a default of now, everybody keeps an old file.",
        section=_SINCE,
    ),
    _condition(
        "if_modified_since_no_day_of_the_calendar_serves",
        (b"If-Modified-Since: Fri, 99 Feb 9998 99:99:99 GMT",),
        200,
        "A calendar function carries the excess over and makes a date, or fails with an exception.",
        304,
        400,
        section="RFC 9110 section 5.6.7",
        level=Level.MAY,
    ),
    _condition(
        "if_modified_since_seconds_serves",
        (b"If-Modified-Since: 99999999999",),
        200,
        "Seconds since 1970 are no HTTP-date; a lenient parser finds a year in them.",
        section=_SINCE,
    ),
    _condition(
        "if_modified_since_twice_serves",
        (b"If-Modified-Since: {modified}", b"If-Modified-Since: {modified}"),
        200,
        "Two members are no date: a front that goes by the first and a server by the second answer differently.",
        400,
        section=_SINCE,
    ),
    _condition(
        "if_modified_since_yields_to_if_none_match",
        (b'If-None-Match: "pooled-none"', b"If-Modified-Since: " + _FUTURE),
        200,
        "The tag has changed and the date has not: two versions within a second, of which the cache keeps the old one.",
        section="RFC 9110 section 13.2.2",
    ),
    _condition(
        "if_none_match_outweighs_an_old_date",
        (b"If-None-Match: {etag}", b"If-Modified-Since: " + _OLD),
        304,
        "The tag matches and that decides; a server that wants both sends what the cache has.",
        section="RFC 9110 section 13.2.2",
    ),
    _condition(
        "if_unmodified_since_its_date_holds",
        (b"If-Unmodified-Since: {modified}",),
        200,
        "Not later is what is asked, not earlier: the date itself is in order.",
        section="RFC 9110 section 13.1.4",
    ),
    _condition(
        "if_unmodified_since_long_ago_fails",
        (b"If-Unmodified-Since: " + _OLD,),
        412,
        "The client would put parts of two versions together.",
        200,
        section="RFC 9110 section 13.1.4",
        checks=(_FAILS_BY_DATE,),
    ),
    _condition(
        "if_unmodified_since_no_date_holds",
        (b"If-Unmodified-Since: yesterday",),
        200,
        "What is no date is no condition, here too.",
        section="RFC 9110 section 13.1.4",
    ),
    _condition(
        "if_unmodified_since_yields_to_if_match",
        (b"If-Match: *", b"If-Unmodified-Since: " + _OLD),
        200,
        "Where there is a tag the date does not count; one that does denies what is there.",
        section="RFC 9110 section 13.2.2",
    ),
    _condition(
        "takes_dates_of_rfc_850",
        (b"If-Unmodified-Since: Thursday, 01-Jan-70 00:00:00 GMT",),
        412,
        "Old clients and their caches write it, and all recipients must read it.",
        200,
        section="RFC 9110 section 5.6.7",
        checks=(_FAILS_BY_DATE,),
    ),
    _condition(
        "takes_dates_of_asctime",
        (b"If-Unmodified-Since: Thu Jan  1 00:00:00 1970",),
        412,
        "The third form has no GMT and two spaces before a day of one digit.",
        200,
        section="RFC 9110 section 5.6.7",
        checks=(_FAILS_BY_DATE,),
    ),
)


_ELSEWHERE = (
    Case(
        id="condition_of_nothing_is_not_found",
        data=_request(b"If-None-Match: *", b"If-Modified-Since: " + _FUTURE, head=_NOWHERE),
        section="RFC 9110 section 13.2.1",
        level=Level.MUST,
        strict=keeps(404),
        accept=(answers(404),),
        why="304 for what is not there keeps a deleted file alive in caches.",
    ),
    Case(
        id="condition_if_match_of_nothing_is_not_found",
        data=_request(b"If-Match: *", head=_NOWHERE),
        section="RFC 9110 section 13.2.1",
        level=Level.MUST,
        strict=keeps(404),
        accept=(answers(404),),
        why="Conditions count only where the answer would be a success, and they must not hide that there is nothing.",
    ),
    Case(
        id="condition_of_options_is_ignored",
        data=b'OPTIONS {known} HTTP/1.1\r\nHost: {host}\r\nIf-Match: "pooled-none"\r\n\r\n',
        section="RFC 9110 section 13.2.1",
        level=Level.MUST,
        strict=keeps(204),
        accept=(answers(200, 204, 405, 501),),
        why="OPTIONS selects no representation that could be compared; a preflight that gets 412 blocks a page.",
    ),
    Case(
        id="condition_not_modified_has_no_content",
        data=_request(b"If-None-Match: *") + _request(),
        section="RFC 9110 section 15.4.5",
        level=Level.MUST,
        strict=series(304, 200),
        accept=(series((200, 304), 200, ends=Ends.EITHER), closes(200, 304)),
        checks=(is_known(response=1),),
        why="Content behind a 304 is read as the next answer, and a condition that is kept hides the next file.",
    ),
    Case(
        id="condition_failed_does_not_last_for_the_next_request",
        data=_request(b'If-Match: "pooled-none"') + _request(),
        section="RFC 9110 section 13.2.1",
        level=Level.MUST,
        strict=series(412, 200),
        accept=(series(412, 200, ends=Ends.EITHER), closes(412)),
        checks=(is_known(response=1),),
        why="A failure that is left standing refuses the next client behind the same proxy.",
    ),
)

FAMILY = Family("conditions", "Conditional requests", (*_MATCHES, *_NONE_MATCHES, *_MODIFIED, *_ELSEWHERE))
