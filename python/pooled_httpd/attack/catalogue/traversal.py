"""Paths that lead out of the document root, by dots, slashes and links in every spelling (RFC 9110 section 17.3, RFC
3986 sections 5.2.4 and 6.2.2).

Nothing from outside may come back (:attr:`Danger.OUTSIDE`). A server may refuse such a path, find nothing, or let
dot-segments end at the root as a client would.
"""

from __future__ import annotations

from pooled_httpd.attack.case import Case, Check, Danger, Family, Level, Outcome, answers, closes, keeps, silent

_HEAD = b" HTTP/1.1\r\nHost: {host}\r\n\r\n"
#: How often a path climbs: more than any document root is deep.
_DEPTH = 14
_KNOWN_IF_SERVED = Check(
    "what is served is the known file", 0, lambda answer, known: answer.status != 200 or answer.content == known.content
)


def _climb(step: bytes, end: bytes = b"etc/passwd", start: bytes = b"/") -> bytes:
    """Make a path of so many steps up, and down to a file that every system has."""
    return start + step * _DEPTH + end


def _refused(
    rule: str,
    target: bytes,
    why: str,
    *,
    strict: Outcome | None = None,
    fields: bytes = b"",
    section: str = "RFC 9110 section 17.3",
) -> Case:
    """Make a case with a target that names nothing inside; 400 unless told otherwise."""
    return Case(
        id=f"traversal_{rule}",
        data=b"GET " + target + b" HTTP/1.1\r\nHost: {host}\r\n" + fields + b"\r\n",
        section=section,
        level=Level.SHOULD,
        strict=keeps(400) if strict is None else strict,
        accept=(silent(), answers(301, 308, 400, 403, 404)),
        why=why,
    )


def _nowhere(rule: str, target: bytes, why: str) -> Case:
    """Make a case with a target whose segments are plain names to who decodes once."""
    return _refused(rule, target, why, strict=keeps(404))


def _inside(rule: str, target: bytes, why: str, *, strict: Outcome | None = None) -> Case:
    """Make a case with a target whose dot-segments lead to the known file."""
    return Case(
        id=f"traversal_{rule}",
        data=b"GET " + target + _HEAD,
        section="RFC 3986 section 5.2.4",
        level=Level.MAY,
        strict=keeps(200) if strict is None else strict,
        accept=(answers(200, 301, 308, 400, 403, 404),),
        checks=(_KNOWN_IF_SERVED,),
        why=why,
    )


_DOTS = (
    _refused(
        "of_dots_is_refused",
        _climb(b"../"),
        "The oldest way out: joined to the root and opened, the path is the system's.",
    ),
    _refused(
        "of_dots_without_a_slash_before_them_is_refused",
        _climb(b"../", start=b""),
        "A check for /../ begins with a slash, and this path does not.",
        strict=closes(400),
    ),
    _refused("of_encoded_dots_is_refused", _climb(b"%2e%2e/"), "Checked before it is decoded, it has no dots in it."),
    _refused(
        "of_upper_case_hex_is_refused", _climb(b"%2E%2E/"), "Digits in capitals are the same byte, not to a filter."
    ),
    _refused(
        "of_one_encoded_dot_is_refused",
        _climb(b".%2e/", start=b"/cgi-bin/"),
        "A normalizer that looks two bytes ahead sees a dot and a percent sign, and leaves them.",
    ),
    _refused("of_the_other_encoded_dot_is_refused", _climb(b"%2e./"), "The same for the one that looks back."),
    _refused("of_encoded_slashes_is_refused", _climb(b"..%2f"), "Split at slashes before decoding, it is one segment."),
    _refused(
        "of_encoded_dots_and_slashes_is_refused",
        _climb(b"%2e%2e%2f"),
        "All of it is data to who checks the raw path and structure to who opens it.",
    ),
    _refused(
        "of_an_absolute_target_is_refused",
        b"http://{host}" + _climb(b"../"),
        "The path of an absolute-form is cut out by other code than that which checks paths.",
    ),
    _refused(
        "through_a_directory_is_refused",
        _climb(b"../", start=b"{directory}/"),
        "A check that the path begins with a known directory is met, and then it climbs.",
    ),
    _refused(
        "through_the_known_file_is_refused",
        _climb(b"../", start=b"{known}/"),
        "A rule that allows this file by its prefix allows all that is reached from there.",
    ),
    _refused(
        "of_a_directory_name_with_dots_behind_it_is_refused",
        _climb(b"../", start=b"{directory}"),
        "A location that is mapped without its final slash lets the dots stick to its name and climb out of it.",
    ),
    _refused(
        "through_one_segment_too_many_is_refused",
        b"/a/b/../.." + _climb(b"../"),
        "Counting depth from the wrong end lets the path go below zero in its middle.",
    ),
    _refused(
        "with_nul_behind_it_is_refused",
        _climb(b"../", b"etc/passwd%00.html"),
        "The name that is judged ends in .html, the one that is opened before the NUL.",
    ),
    _refused(
        "with_nul_between_the_dots_is_refused",
        _climb(b".%00./"),
        "NUL dropped after the check, two dots are left.",
    ),
)

_DECODED_TWICE = (
    _nowhere(
        "of_dots_encoded_twice_finds_nothing",
        _climb(b"%252e%252e/"),
        "A second decoding, by the next hop or the same, makes dots of names that were checked as names.",
    ),
    _nowhere("of_slashes_encoded_twice_finds_nothing", _climb(b"..%252f"), "The same for what separates segments."),
    _nowhere(
        "of_backslashes_encoded_twice_finds_nothing",
        _climb(b"..%255c"),
        "The same for the separator of other systems, which many filters forget.",
    ),
    _nowhere(
        "of_dots_encoded_three_times_finds_nothing",
        _climb(b"%25252e%25252e/"),
        "Who decodes until nothing changes undoes any number of encodings, and who checks does not.",
    ),
    _refused(
        "of_digits_encoded_within_an_encoding_is_refused",
        _climb(b".%%32%65/", start=b"/cgi-bin/"),
        "The digits of one escape are escapes themselves: a decoder that leaves bad ones in place makes a good one.",
    ),
    _refused(
        "of_unicode_escapes_is_refused",
        _climb(b"%u002e%u002e/"),
        "An escape that no standard has was decoded by servers all the same.",
    ),
)

_ENCODINGS = (
    _nowhere(
        "of_overlong_dots_finds_nothing",
        _climb(b"%c0%ae%c0%ae/"),
        "Two bytes that a lenient UTF-8 decoder makes a dot of, after the check for dots.",
    ),
    _nowhere(
        "of_overlong_slashes_finds_nothing", _climb(b"..%c0%af"), "The same for a slash, in the middle of a name."
    ),
    _nowhere("of_overlong_backslashes_finds_nothing", _climb(b"..%c1%9c"), "The same for a backslash."),
    _nowhere(
        "of_dots_of_three_bytes_finds_nothing",
        _climb(b"%e0%80%ae%e0%80%ae/"),
        "Decoders that refuse overlong forms of two bytes took those of three.",
    ),
    _nowhere(
        "of_wide_dots_finds_nothing",
        _climb(b"%ef%bc%8e%ef%bc%8e%ef%bc%8f"),
        "Compatibility normalization makes a dot and a slash of their full-width forms.",
    ),
    _refused(
        "of_raw_overlong_bytes_is_refused",
        _climb(b"\xc0\xae\xc0\xae/"),
        "Without percent signs no decoder of escapes looks at it.",
        strict=closes(400),
    ),
)

_SEPARATORS = (
    _refused(
        "of_backslashes_is_refused", _climb(b"..\\"), "A file system that takes both slashes climbs, the check not."
    ),
    _refused("of_encoded_backslashes_is_refused", _climb(b"..%5c"), "Decoded it is a separator to other systems."),
    _refused(
        "of_both_slashes_is_refused", _climb(b"..\\/"), "Of two separators in a row one is dropped, or the check is."
    ),
    _nowhere(
        "of_path_parameters_finds_nothing",
        _climb(b"..;/"),
        "One hop takes ..; for a name and the next cuts it at the semicolon.",
    ),
    _nowhere("of_dots_and_a_space_finds_nothing", _climb(b"..%20/"), "File systems that drop the space find two dots."),
    _nowhere("of_dots_and_a_line_end_finds_nothing", _climb(b".%0d./"), "A CR that is dropped lets the dots meet."),
    _nowhere(
        "of_dots_twice_finds_nothing",
        _climb(b"....//"),
        "A filter that takes ../ away once leaves one of each pair.",
    ),
    _nowhere("of_dots_within_dots_finds_nothing", _climb(b"..././"), "The same for a filter that takes it out inside."),
    _nowhere("of_three_dots_finds_nothing", _climb(b".../"), "On some systems three dots climb two levels."),
    _nowhere(
        "by_an_absolute_path_finds_nothing",
        b"//etc/passwd",
        "A join with an absolute path throws the root away, and the second slash makes it absolute.",
    ),
    _refused(
        "by_an_encoded_absolute_path_is_refused",
        b"/%2fetc/passwd",
        "Decoded behind the first slash it is an absolute path again.",
    ),
    _nowhere("by_a_file_url_finds_nothing", b"/file:///etc/passwd", "A path that is opened as a URL opens this one."),
    _nowhere("by_a_home_directory_finds_nothing", b"/~root/../etc/passwd", "A tilde that is expanded is another root."),
)

_RESOLVED = (
    _inside(
        "that_comes_back_is_refused",
        b"/..{known}",
        "The way out and in again tells where the root lies; a client would have ended at the root.",
        strict=keeps(400),
    ),
    _inside(
        "that_stays_inside_is_resolved",
        b"/a/b/../..{known}",
        "Dot-segments are removed before a name is looked up, whether there is a directory a or not.",
    ),
    _inside("of_one_dot_is_resolved", b"/././.{known}", "A single dot is where it is; a server may not lose count."),
    _inside(
        "of_encoded_dots_inside_is_resolved",
        b"/%2e/a/%2E%2e{known}",
        "Encoded dots are dots: left as names, they are found by whoever decodes later.",
    ),
    _inside(
        "of_500_segments_is_resolved",
        b"/a/.." * 500 + b"{known}",
        "Removing each pair from the start again takes time that grows with the square.",
    ),
    _refused(
        "of_1000_segments_is_refused",
        b"/.." * 1000 + b"/etc/passwd",
        "A depth counted in a byte is zero again after 256 steps.",
    ),
)

_LINKS = (
    _refused(
        "by_a_link_is_forbidden",
        b"{link}",
        "A link in the root opens whatever it names, and whoever may upload one reads the machine.",
        strict=keeps(403),
    ),
    _refused(
        "by_a_link_behind_dot_segments_is_forbidden",
        b"/a/..{link}",
        "The path that is checked and the one that is opened must be the same.",
        strict=keeps(403),
    ),
    _refused(
        "by_a_link_and_a_name_below_it_finds_nothing",
        b"{link}/etc/passwd",
        "A check of the last name alone lets a link in the middle through.",
        strict=keeps(403, 404),
    ),
    _refused(
        "by_a_link_tells_nothing_in_a_range",
        b"{link}",
        "A size in Content-Range, or one byte at a time, is content from outside too.",
        strict=keeps(403),
        fields=b"Range: bytes=0-0\r\n",
    ),
    _refused(
        "by_a_link_tells_nothing_in_a_condition",
        b"{link}",
        "304 or 412 instead of the refusal says that there is something and when it was changed.",
        strict=keeps(403),
        fields=b"If-None-Match: *\r\nIf-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
        section="RFC 9110 section 13.2.1",
    ),
    Case(
        id="traversal_by_a_link_tells_nothing_to_head",
        data=b"HEAD {link}" + _HEAD,
        section="RFC 9110 section 17.3",
        level=Level.SHOULD,
        strict=keeps(403),
        accept=(answers(301, 308, 400, 403, 404),),
        methods=("HEAD",),
        why="Length, type and time of a file outside are news of it, even without its content.",
    ),
)

_HIDDEN = (
    Case(
        id="traversal_to_a_hidden_name_finds_nothing",
        data=b"GET /.git/HEAD" + _HEAD,
        section="RFC 9110 section 17.3",
        level=Level.SHOULD,
        strict=keeps(404),
        accept=(answers(400, 403, 404),),
        forbid=(Danger.SERVED,),
        why="Names with a leading dot were not meant for the site: histories, passwords, settings.",
    ),
    Case(
        id="traversal_to_an_encoded_hidden_name_finds_nothing",
        data=b"GET /a/../%2egit/HEAD" + _HEAD,
        section="RFC 9110 section 17.3",
        level=Level.SHOULD,
        strict=keeps(404),
        accept=(answers(400, 403, 404),),
        forbid=(Danger.SERVED,),
        why="A rule on the raw path sees no dot after the slash.",
    ),
)

FAMILY = Family(
    "traversal",
    "Paths out of the document root",
    (*_DOTS, *_DECODED_TWICE, *_ENCODINGS, *_SEPARATORS, *_RESOLVED, *_LINKS, *_HIDDEN),
)
