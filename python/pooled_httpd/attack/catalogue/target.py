"""The request-target: its four forms, the bytes that it may have, and its percent-encoding (RFC 9112 section 3.2, RFC
3986 sections 2 and 3). What a path may reach is tested in the family ``traversal``, where it leads to in ``redirect``.

A request line with an invalid target should be answered 400, or 301 with the target encoded (RFC 9112 section 3).
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Check, Danger, Family, Level, answers, closes, keeps, silent

_HEAD = b" HTTP/1.1\r\nHost: {host}\r\n\r\n"
_KNOWN_IF_SERVED = Check(
    "what is served is the known file", 0, lambda answer, known: answer.status != 200 or answer.content == known.content
)
_NO_MARKUP = Check("the target's markup is not in the answer", 0, lambda answer, _known: b"<img" not in answer.content)
#: What a server says that does not answer for a host or a scheme.
_NOT_MINE = (403, 404, 421)


def _served(rule: str, target: bytes, why: str, *codes: int, section: str, level: Level = Level.MUST) -> Case:
    """Make a case whose target names the known file."""
    return Case(
        id=f"target_{rule}",
        data=b"GET " + target + _HEAD,
        section=section,
        level=level,
        strict=keeps(200),
        accept=(answers(200, *codes),),
        checks=(_KNOWN_IF_SERVED,),
        why=why,
    )


def _not_found(
    rule: str,
    target: bytes,
    why: str,
    *codes: int,
    section: str = "RFC 3986 section 2.1",
    level: Level = Level.MUST,
    forbid: tuple[Danger, ...] = (),
    checks: tuple[Check, ...] = (),
) -> Case:
    """Make a case with a valid target that names no resource of any server."""
    return Case(
        id=f"target_{rule}",
        data=b"GET " + target + _HEAD,
        section=section,
        level=level,
        strict=keeps(404),
        accept=(answers(403, 404, *codes),),
        forbid=forbid,
        checks=checks,
        why=why,
    )


def _invalid(
    rule: str,
    target: bytes,
    why: str,
    *codes: int,
    section: str = "RFC 9112 section 3",
    level: Level = Level.SHOULD,
    forbid: tuple[Danger, ...] = (),
    persists: bool = False,
) -> Case:
    """Make a case with an invalid target."""
    return Case(
        id=f"target_{rule}",
        data=b"GET " + target + _HEAD,
        section=section,
        level=level,
        strict=keeps(400) if persists else closes(400),
        accept=(silent(), answers(301, 400, *codes)),
        forbid=forbid,
        why=why,
    )


_ABSOLUTE_FORM = (
    _served(
        "absolute_form_is_served",
        b"http://{host}{known}",
        "Clients of proxies send it, and a server that refuses or misreads it breaks behind every one of them.",
        section="RFC 9112 section 3.2.2",
    ),
    _served(
        "absolute_form_takes_any_case_of_the_scheme",
        b"HTTP://{host}{known}",
        "Schemes ignore case; taken for a relative path, the URL becomes a file name.",
        section="RFC 3986 section 3.1",
    ),
    Case(
        id="target_absolute_form_may_have_no_path",
        data=b"GET http://{host}" + _HEAD,
        section="RFC 9110 section 4.2.3",
        level=Level.MUST,
        strict=keeps(200, 403, 404),
        accept=(answers(200, 301, 302, 303, 307, 308, 403, 404),),
        why="An empty path is the root; a parser that expects a slash reads on into the version.",
    ),
    Case(
        id="target_absolute_form_wins_over_host",
        data=b"GET http://{host}{known} HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        section="RFC 9112 section 3.2.2",
        level=Level.MUST,
        strict=keeps(200),
        accept=(answers(200, 400, 421),),
        checks=(_KNOWN_IF_SERVED,),
        why="A cache that keys by the target and a server that goes by Host store one site under another's name.",
    ),
    _served(
        "absolute_form_of_another_host_is_not_fetched",
        b"http://elsewhere.example{known}",
        "An origin server that fetches what is elsewhere is an open proxy into its network.",
        400,
        *_NOT_MINE,
        section="RFC 9112 section 3.2.2",
    ),
    _invalid(
        "absolute_form_rejects_https_on_an_open_connection",
        b"https://{host}{known}",
        "An https resource that is served over an open connection was protected by nothing.",
        *_NOT_MINE,
        section="RFC 9110 section 7.4",
        level=Level.MUST,
    ),
    _invalid(
        "absolute_form_rejects_another_scheme",
        b"ftp://{host}{known}",
        "A server that cuts off any scheme serves what a filter has read as somebody else's protocol.",
        501,
        *_NOT_MINE,
        section="RFC 9110 section 7.4",
    ),
    _invalid(
        "absolute_form_rejects_file_urls",
        b"file:///etc/passwd",
        "A URL library that opens whatever it is given opens this too.",
        501,
        *_NOT_MINE,
        section="RFC 9110 section 7.4",
        forbid=(Danger.SERVED,),
    ),
    _invalid(
        "absolute_form_rejects_user_information",
        b"http://localhost@{host}{known}",
        "What stands before the @ is shown as the host by some and is none: routing goes where nobody looked.",
        *_NOT_MINE,
        section="RFC 9110 section 4.2.4",
    ),
    _invalid(
        "absolute_form_rejects_an_empty_host",
        b"http://:80{known}",
        "An http URI without a host is invalid; one server makes it this host and another the path's first segment.",
        section="RFC 9110 section 4.2.1",
        level=Level.MUST,
    ),
    _invalid(
        "absolute_form_rejects_an_empty_authority",
        b"http://{known}",
        "With three slashes the authority is empty; a search for the next slash takes the path for the host.",
        section="RFC 9110 section 4.2.1",
        level=Level.MUST,
    ),
    _invalid(
        "absolute_form_rejects_a_missing_authority",
        b"http:{known}",
        "A URL without its two slashes has a path and no host, and libraries resolve it in their own ways.",
        404,
        section="RFC 9110 section 4.2.1",
    ),
    _invalid(
        "absolute_form_rejects_a_malformed_port",
        b"http://localhost:80evil{known}",
        "A number function stops at the letter and finds a port, and the rest of the name is gone.",
        *_NOT_MINE,
        section="RFC 3986 section 3.2.3",
    ),
    _invalid(
        "absolute_form_rejects_an_open_bracket",
        b"http://[::1{known}",
        "The search for the bracket's end runs on through path and version.",
        *_NOT_MINE,
        section="RFC 3986 section 3.2.2",
    ),
    _invalid(
        "absolute_form_rejects_a_backslash_in_the_authority",
        b"http://{host}\\@evil.example{known}",
        "One URL parser ends the authority at the backslash and another at the slash: two hosts in one target.",
        *_NOT_MINE,
        section="RFC 3986 section 3.2",
    ),
)

_OTHER_FORMS = (
    _invalid(
        "rejects_a_relative_path",
        b"index.html",
        "Joined to the document root without a slash it names a file beside the root.",
        section="RFC 9112 section 3.2.1",
    ),
    _invalid(
        "rejects_a_dot_before_the_path",
        b".{known}",
        "A path that begins with a dot passes a rule for paths that begin with a slash.",
        section="RFC 9112 section 3.2.1",
    ),
    _invalid(
        "rejects_a_query_alone",
        b"?a=b",
        "An origin-form has a path; an empty one becomes whatever the server's default is.",
        section="RFC 9112 section 3.2.1",
    ),
    _invalid(
        "rejects_an_at_sign_before_the_path",
        b"@evil.example{known}",
        "Appended to a base URL by a proxy, what was the host becomes user information and the request goes elsewhere.",
        section="RFC 9112 section 3.2.1",
    ),
    _invalid(
        "rejects_an_authority_for_get",
        b"{host}",
        "The authority is for CONNECT; with GET it is a URL of an unknown scheme or a file of that name.",
        404,
        section="RFC 9112 section 3.2.3",
    ),
    _invalid(
        "rejects_an_asterisk_for_get",
        b"*",
        "The asterisk is for OPTIONS; with GET it is a pattern to whoever passes it on to one.",
        404,
        405,
        section="RFC 9112 section 3.2.4",
    ),
)

_QUERIES = (
    _served(
        "may_have_a_query",
        b"{known}?a=b&c=d",
        "A file is found by its path; looked up with the query it is another file, or none.",
        section="RFC 3986 section 3.4",
        level=Level.SHOULD,
    ),
    _served(
        "may_have_an_empty_query",
        b"{known}?",
        "A question mark with nothing behind it is still no part of the path.",
        section="RFC 3986 section 3.4",
        level=Level.SHOULD,
    ),
    _served(
        "query_ends_the_path_at_the_first_mark",
        b"{known}?a?b=/../../etc/passwd?/",
        "Searched from the right, the path has the query in it, slashes and dots included.",
        section="RFC 3986 section 3.4",
        level=Level.SHOULD,
    ),
    _served(
        "query_is_not_decoded_as_a_path",
        b"{known}?%zz%00%2e%2e%2f",
        "The query means nothing to a file server; a decoder that trips over it refuses the file or cuts its name.",
        400,
        section="RFC 3986 section 3.4",
        level=Level.MAY,
    ),
    _not_found(
        "encoded_question_mark_begins_no_query",
        b"{known}%3Fa=b",
        "Decoded before it is split, the name ends where its author did not end it, and a rule on names is passed.",
        section="RFC 3986 section 2.2",
    ),
    _not_found(
        "path_parameters_are_part_of_the_name",
        b"{known};a=b",
        "A server that cuts off what stands behind a semicolon serves the file past a rule on its name.",
        400,
        section="RFC 3986 section 3.3",
        level=Level.SHOULD,
    ),
    _invalid(
        "rejects_a_fragment",
        b"{known}#a",
        "No client may send one; cut off by one server and kept by the next, it is two names in a cache.",
        persists=True,
    ),
    _invalid(
        "rejects_a_fragment_behind_the_query",
        b"{known}?a=b#c",
        "The check for a fragment looks at the path alone and leaves the query's.",
        persists=True,
    ),
    _not_found(
        "encoded_hash_begins_no_fragment",
        b"{known}%23a",
        "Decoded before it is split, the name ends at a byte that was part of it.",
        section="RFC 3986 section 2.2",
    ),
)

_BYTES = (
    _not_found(
        "may_have_every_byte_of_a_path",
        b"/pooled-!$&'()*+,;=:@._~%20-none",
        "All of these are legal in a name; a server that refuses or unescapes some is out of step with its links.",
        section="RFC 3986 section 3.3",
        level=Level.SHOULD,
    ),
    _invalid(
        "rejects_nul",
        b"{known}\x00.txt",
        "The file is opened by the name up to NUL and judged by the name behind it.",
        404,
        section="RFC 9112 section 3",
        forbid=(Danger.SERVED,),
    ),
    _invalid(
        "rejects_a_control_byte", b"{known}\x01", "Filters compare what they can print, and this byte is not shown."
    ),
    _invalid("rejects_escape", b"/\x1b[2J{known}", "A log on a terminal obeys it: lines vanish, titles change."),
    _invalid("rejects_del", b"{known}\x7f", "DEL is above the printable bytes, where a check for less than SP stops."),
    _invalid(
        "rejects_a_tab",
        b"/\t{known}",
        "Browsers drop tabs in URLs and some servers end the target at one, so nobody means the same path.",
    ),
    _invalid(
        "rejects_a_bare_cr",
        b"/\rX-Injected:yes{known}",
        "Written into a Location or a log as it is, it begins a line of the peer's.",
        section="RFC 9112 section 2.2",
        level=Level.MUST,
    ),
    _invalid(
        "rejects_a_no_break_space_behind_it",
        b"{known}\xa0",
        "Trimmed as white space it names the file, compared as bytes it passed the rule for that file.",
    ),
    _invalid(
        "rejects_raw_utf_8",
        b"/pooled-\xc3\xa9",
        "Bytes outside ASCII are normalized by one hop and escaped by the next, and the names no longer match.",
    ),
    _invalid(
        "rejects_a_byte_of_no_encoding",
        b"/pooled-\xff\xfe",
        "Text decoding fails on it, and where nobody expects that the answer is 500 or none.",
    ),
    _invalid(
        "rejects_quotes_and_angle_brackets",
        b'/"><img/src=x>',
        "A page that prints the path runs what is in it; valid targets have none of these.",
    ),
)

_ENCODING = (
    _invalid(
        "rejects_a_percent_sign_alone", b"{known}%", "The decoder reads two digits behind the end.", persists=True
    ),
    _invalid("rejects_one_digit", b"{known}%4", "The second digit is read from behind the target.", persists=True),
    _invalid(
        "rejects_a_digit_and_a_slash", b"/%2{known}", "The slash is swallowed as a digit, or ends it.", persists=True
    ),
    _invalid(
        "rejects_bad_digits", b"{known}%zz", "Left as it is it is another name to who decodes again.", persists=True
    ),
    _invalid(
        "rejects_a_sign_for_a_digit",
        b"{known}%+1",
        "A number function takes the sign, and then %+1 is the byte 1.",
        persists=True,
    ),
    _invalid(
        "rejects_unicode_escapes",
        b"/%u002e%u002e{known}",
        "An escape that only some servers decode carries dots and slashes past all the others.",
        persists=True,
    ),
    _invalid(
        "rejects_encoded_nul",
        b"{known}%00",
        "The file is opened by the name up to NUL, whatever a rule saw behind it.",
        404,
        section="RFC 3986 section 7.3",
        forbid=(Danger.SERVED,),
        persists=True,
    ),
    _invalid(
        "rejects_encoded_nul_before_an_extension",
        b"{known}%00.jpg",
        "The extension decides on the type and on who may see it, and the name before NUL on what is sent.",
        404,
        section="RFC 3986 section 7.3",
        forbid=(Danger.SERVED,),
        persists=True,
    ),
    _not_found(
        "encoded_line_ends_inject_nothing",
        b"/pooled%0d%0aX-Injected:%20yes%0d%0a%0d%0a",
        "Decoded into a field value they end it, and the rest of the answer is the peer's.",
        400,
        section="RFC 9110 section 5.5",
    ),
    _not_found(
        "encoded_control_bytes_are_harmless",
        b"/pooled%01%09%0b%1b%7f",
        "Decoded names go to logs, listings and error pages, where these bytes act.",
        400,
    ),
    _not_found(
        "encoded_markup_is_not_written_into_the_answer",
        b"/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "An error page that prints the decoded name runs a script of the link's author in the site's name.",
        400,
        section="RFC 9110 section 17.4",
        checks=(_NO_MARKUP,),
    ),
    _not_found(
        "encoded_bytes_of_no_encoding_are_not_found",
        b"/pooled%ff%fe",
        "Names are bytes; a server that wants text of them fails where it should not find.",
        400,
    ),
    _not_found(
        "trailing_encoded_space_is_another_name",
        b"{known}%20",
        "A file system that drops spaces at the end opens the file under a name that no rule matched.",
        400,
    ),
    _not_found(
        "stream_suffix_is_another_name",
        b"{known}::$DATA",
        "On some file systems it is the file itself under a name without its extension: sources are sent as text.",
        400,
    ),
    _not_found(
        "name_of_300_bytes_is_not_found",
        b"/" + b"a" * 300,
        "File systems refuse names of over 255 bytes with an error of their own, which is no error of the server.",
        400,
        414,
        section="RFC 9110 section 15.5.5",
    ),
    Case(
        id="target_path_of_5000_bytes_is_no_server_error",
        data=b"GET /" + b"a/" * 2500 + _HEAD,
        section="RFC 9110 section 4.1",
        level=Level.SHOULD,
        strict=answers(404, 507),
        accept=(answers(400, 403, 404, 414, 507),),
        why="It is longer than any path that a file system takes, so it is not there: not found, too long, or more "
        "than a fixed memory holds.",
    ),
)

FAMILY = Family("target", "Request-target", (*_ABSOLUTE_FORM, *_OTHER_FORMS, *_QUERIES, *_BYTES, *_ENCODING))
