"""The reference, the generators and the strategies: what is well-formed, what is not, and how it shrinks."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import h11
import pooled_httpd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import find as hypothesis_find
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pooled_httpd.attack import RawClient, Target, reference, strategies
from pooled_httpd.attack.assess import Fate, assess
from pooled_httpd.attack.case import HalfClose, Send, Stall
from pooled_httpd.attack.exchange import exchange
from pooled_httpd.attack.generate import RandomChooser, hostile, nearly_valid, valid
from pooled_httpd.attack.judge import Verdict
from pooled_httpd.attack.reference import Limits, Place, read
from pooled_httpd.attack.schedule import Reset, Schedule
from pooled_httpd.attack.strategies import HostileRequest, NearlyValidRequest, ValidRequest
from support import Site

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

#: Bytes that are no request, and the section that says so.
MALFORMED = {
    b"GET / HTTP/1.1\n": "RFC 9112 section 2.2",
    b"GET / HTTP/1.1\r\nHost: a\r": None,
    b"GET / HTTP/1.1\r\nHost: a\rX": "RFC 9112 section 2.2",
    b"\r\n\r\n\r\nGET": "RFC 9112 section 2.2",
    b"GET  / HTTP/1.1\r\n": "RFC 9112 section 3",
    b"GET /\r\n": "RFC 9112 section 3",
    b"G(T / HTTP/1.1\r\n": "RFC 9110 section 9.1",
    b"GET / HTTP/1.10\r\n": "RFC 9112 section 2.3",
    b"GET / HTTP/3.0\r\n": "RFC 9110 section 15.6.6",
    b"GET * HTTP/1.1\r\n": "RFC 9112 section 3.2",
    b"GET a HTTP/1.1\r\n": "RFC 9112 section 3.2",
    b"CONNECT a HTTP/1.1\r\n": "RFC 9112 section 3.2",
    b"GET http:///a HTTP/1.1\r\n": "RFC 9112 section 3.2",
    b"GET /" + b"a" * 8000: "RFC 9112 section 3",
    HEAD + b" b\r\n": "RFC 9112 section 5.2",
    HEAD + b"X : y\r\n": "RFC 9112 section 5.1",
    HEAD + b"X: \x00": "RFC 9110 section 5.5",
    HEAD + b"X: y\r\n" * 100: "RFC 6585 section 5",
    HEAD + b"X: " + b"y" * 16384: "RFC 6585 section 5",
    b"GET / HTTP/1.1\r\n\r\n": "RFC 9112 section 3.2",
    HEAD + b"Host: a\r\n\r\n": "RFC 9112 section 3.2",
    b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n": "RFC 9110 section 7.2",
    b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n": "RFC 9110 section 7.2",
    b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n": "RFC 9110 section 7.2",
    POST + b"Content-Length: +1\r\n\r\n": "RFC 9110 section 8.6",
    POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n": "RFC 9112 section 6.3",
    POST + b"Content-Length: 1048577\r\n\r\n": "RFC 9110 section 15.5.14",
    POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": "RFC 9112 section 6.1",
    POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n": "RFC 9112 section 6.1",
    b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n": "RFC 9112 section 6.1",
    CHUNKED + b"x": "RFC 9112 section 7.1",
    CHUNKED + b"1\nx": "RFC 9112 section 2.2",
    CHUNKED + b"1;\r\n": "RFC 9112 section 7.1.1",
    CHUNKED + b'1;a="b\x00': "RFC 9110 section 5.5",
    CHUNKED + b"1;a=b c": "RFC 9112 section 7.1.1",
    CHUNKED + b"1\r\nxy": "RFC 9112 section 7.1",
    CHUNKED + b"ffffffffffffffff\r\n": "RFC 9110 section 15.5.14",
    CHUNKED + b"0\r\nX\r\n": "RFC 9112 section 7.1.2",
    CHUNKED + b"0\r\n X": "RFC 9112 section 7.1.2",
}


@pytest.mark.parametrize("data", MALFORMED)
def test_the_reference_names_the_section_that_is_broken(data: bytes) -> None:
    """Behind any number of good requests, which it reads."""
    section = MALFORMED[data]
    for before in (0, 2):
        reading = read((HEAD + b"\r\n") * before + data)
        assert len(reading.messages) == before
        assert reading.is_malformed
        assert (reading.fault.section if reading.fault else None) == section


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"GET / HT", Place.REQUEST_LINE),
        (b"\r\n\r", Place.REQUEST_LINE),
        (HEAD, Place.HEADERS),
        (HEAD + b"\r", Place.HEADERS),
        (POST + b"Content-Length: 3\r\n\r\nab", Place.CONTENT),
        (CHUNKED, Place.CONTENT),
        (CHUNKED + b'1;a="b', Place.CONTENT),
        (CHUNKED + b"1 ;a\t= \t", Place.CONTENT),
        (CHUNKED + b"1\r\nx\r", Place.CONTENT),
        (CHUNKED + b"0\r\nX: y\r\n\r", Place.CONTENT),
    ],
)
def test_the_reference_tells_where_a_request_is_cut_off(data: bytes, place: Place) -> None:
    """Incomplete is not invalid."""
    reading = read(data)
    assert (reading.fault, reading.incomplete, reading.place) == (None, data, place)


def test_the_reference_reads_content_and_persistence() -> None:
    """Content by length and by chunks, `close`, and HTTP/1.0; what follows the last one is ignored."""
    data = POST + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"2;x\r\nde\r\n1\r\nf\r\n0\r\nT: v\r\n\r\n"
    data += HEAD + b"Connection: x, Close\r\n\r\n" + b"rest"
    reading = read(data)
    assert [message.content for message in reading.messages] == [b"abc", b"def", b""]
    assert [message.persists for message in reading.messages] == [True, True, False]
    assert (reading.ignored, reading.is_malformed) == (b"rest", False)
    assert read(b"GET / HTTP/1.0\r\n\r\nrest").messages[0].persists is False
    assert read(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").messages[0].persists is True


def test_the_reference_takes_the_limits_that_it_is_given() -> None:
    """Those of another server."""
    assert read(HEAD + b"X: y\r\n\r\n", Limits(field_lines=1)).is_malformed
    assert not read(HEAD + b"X: y\r\n\r\n", Limits(field_lines=2)).is_malformed


def test_one_seed_is_one_request() -> None:
    """On every machine, in whatever order."""
    for make in (valid, nearly_valid, hostile):
        first = [make(RandomChooser(seed)) for seed in range(200)]
        again = [make(RandomChooser(seed)) for seed in reversed(range(200))]
        assert first == again[::-1]
        assert len(set(first)) > 150


def test_valid_requests_are_valid_to_everyone() -> None:
    """To the reference, and to h11, which reads the same method and target."""
    for seed in range(2000):
        data = valid(RandomChooser(seed))
        reading = read(data)
        assert (len(reading.messages), reading.is_malformed) == (1, False), data
        server = h11.Connection(h11.SERVER)
        server.receive_data(data.lstrip(b"\r\n"))
        event = server.next_event()
        assert isinstance(event, h11.Request), data
        assert (event.method, event.target) == (reading.messages[0].method, reading.messages[0].target)


def test_departures_reach_every_rule() -> None:
    """No rule of the reference is out of the generators' reach, but for those of size."""
    rules = set(re.findall(r'_Refused\(\s*"([^"]+)"', inspect.getsource(reference)))
    of_size = {rule for rule in rules if "too long" in rule or "too large" in rule or "too many field" in rule}
    reached = set()
    for seed in range(30_000):
        for make in (nearly_valid, hostile):
            fault = read(make(RandomChooser(seed))).fault
            if fault is not None:
                reached.add(fault.rule)
    assert len(rules) > 20
    assert reached - of_size == rules - of_size


@pytest.mark.parametrize(
    ("rule", "shortest"),
    [
        ("bare LF", HEAD + b"\r\n"),
        ("obsolete line folding", HEAD + b"\r\n"),
        ("Content-Length is not 1*DIGIT", POST + b"Content-Length: 0\r\n\r\n"),
        ("malformed chunk size or extension", CHUNKED + b"0\r\n\r\n"),
    ],
)
def test_strategies_shrink_to_few_bytes(rule: str, shortest: bytes) -> None:
    """The shortest request that can have such a thing wrong, and the few bytes that are."""

    def breaks(data: bytes) -> bool:
        fault = read(data).fault
        return fault is not None and fault.rule == rule

    whole = settings(database=None, max_examples=20_000, derandomize=True, deadline=None)
    found = hypothesis_find(strategies.nearly_valid_requests(), breaks, settings=whole)
    # What is wrong may take a byte or two of its own.
    assert len(found) <= len(shortest) + 3, found
    assert found.count(b"\n") <= shortest.count(b"\n") + 1


def test_schedules_shrink_too() -> None:
    """To no more parts, stalls and ends than it takes."""
    whole = settings(database=None, max_examples=5000, deadline=None)
    found = hypothesis_find(
        strategies.schedules(strategies.valid_requests()),
        lambda schedule: [type(step) for step in schedule.steps][1:] == [Stall, Reset],
        settings=whole,
    )
    assert found == Schedule((Send(HEAD + b"\r\n"), Stall(0.0), Reset()))


@settings(max_examples=200, deadline=None, database=None)
@given(strategies.valid_requests(), strategies.malformed_requests(), strategies.schedules())
def test_strategies_give_what_they_say(good: bytes, bad: bytes, schedule: Schedule) -> None:
    """Valid ones are, malformed ones are not, and a schedule ends at most once, at its end."""
    assert not read(good).is_malformed
    assert read(bad).is_malformed
    ends = [step for step in schedule.steps if isinstance(step, HalfClose | Reset)]
    assert ends in ([], [schedule.steps[-1]])


@pytest.mark.parametrize("kind", [ValidRequest, NearlyValidRequest, HostileRequest, Schedule])
def test_types_are_registered_with_hypothesis(kind: type[object]) -> None:
    """By the entry point: nothing of the kit was imported before Hypothesis looks the type up."""
    found: SearchStrategy[object] = st.from_type(kind)
    assert isinstance(hypothesis_find(found, lambda _: True, settings=settings(database=None, deadline=None)), kind)


@pytest.mark.parametrize("missing", ["h11", "rich"])
def test_hypothesis_and_pytest_do_not_need_the_kit(tmp_path: Path, missing: str) -> None:
    """Without what the kit needs neither import fails."""
    installed = Path(pytest.__file__).parent.parent
    for name in [*installed.iterdir(), *Path(pooled_httpd.__file__).parent.parent.iterdir()]:
        if not name.name.startswith((missing, "__pycache__")):
            (tmp_path / name.name).symlink_to(name)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import hypothesis, pooled_httpd, pooled_httpd_pytest\n"
        "import importlib.metadata as metadata\n"
        "names = {point.name for point in metadata.entry_points(group='hypothesis')}\n"
        "assert 'pooled_httpd' in names, names\n"
        "try:\n    import pooled_httpd.attack\n"
        f"except ModuleNotFoundError as error:\n    assert error.name == {missing!r}\n"
        "else:\n    raise AssertionError('the kit should not be there')\n"
    )
    subprocess.run([sys.executable, "-S", "-c", script], check=True)


def test_hypothesis_alone_imports_nothing_of_ours() -> None:
    """But for the door: most of those who use it never come to the kit."""
    script = "import hypothesis, sys; print(*(name for name in sys.modules if name.startswith('pooled_httpd')))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["pooled_httpd_hypothesis"]


@pytest.mark.parametrize(
    "imports",
    [
        "import hypothesis; from pooled_httpd.attack import Schedule",
        "from pooled_httpd.attack import Schedule; import hypothesis",
        "from pooled_httpd.attack.strategies import Schedule; import hypothesis",
        "from pooled_httpd.attack import databases, Schedule; import hypothesis",
    ],
)
def test_types_are_registered_in_whatever_order_both_are_imported(imports: str) -> None:
    """Unregistered, a type's strategy is made of the types of its fields, which is no schedule."""
    script = f"{imports}; print(Schedule in hypothesis.strategies._internal.types._global_type_lookup)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sent=strategies.requests_at_a_limit("/index.html"))
def test_each_limit_is_kept_to_the_byte(wide_open: pooled_httpd.Server, sent: bytes) -> None:
    """All nine that there are: at each limit, one less and one more."""
    with RawClient(Target.of(wide_open)) as client:
        client.send(sent)
        status = client.read_response().status
        assert (status in (414, 431)) == read(sent).is_malformed, (status, len(sent))


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=strategies.schedules(longest_stall=0.002))
def test_any_schedule_leaves_the_server_sound(wide_open: pooled_httpd.Server, schedule: Schedule) -> None:
    """However bytes come and whatever they are: as many answers as the reference reads, and no violation."""
    with RawClient(Target.of(wide_open)) as client:
        client.play(schedule)
        if not isinstance(schedule.steps[-1], Reset):
            client.methods = read(schedule.data).methods
            transcript = client.half_close().read_all()
            reading = read(schedule.data)
            refused = len(transcript.statuses) == len(reading.messages) + 1 and transcript.statuses[-1] >= 400
            assert len(transcript.statuses) == len(reading.messages) or (refused and reading.is_malformed)
    assert wide_open.stats().invariant_violations == 0


@pytest.mark.parametrize("make", [valid, nearly_valid, hostile])
def test_the_server_and_the_reference_agree(site: Site, make: object) -> None:
    """Thousands of requests: as many answers, the same refusals, and the statuses that the fault calls for."""
    assert callable(make)
    with pooled_httpd.Server(site.root, log_level="off") as server:
        target = Target.of(server)
        for first in range(0, 6400, 64):
            sent = [make(RandomChooser(f"agree {seed}"), b"/a.txt") for seed in range(first, first + 64)]
            readings = [read(data) for data in sent]
            answers = exchange(target, sent, readings, 5.0)
            for data, reading, seen in zip(sent, readings, answers, strict=True):
                assessment = assess(reading, seen)
                assert assessment.verdict is Verdict.OK, (data, reading, seen, assessment)
                if reading.fault is not None:
                    assert assessment.fate is Fate.REFUSED, (data, reading, seen)
                    assert seen.statuses[-1] in reading.fault.statuses, (data, reading, seen)
        assert server.stats().invariant_violations == 0


@pytest.fixture(scope="module")
def wide_open(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A server for many examples."""
    root = tmp_path_factory.mktemp("wide") / "site"
    with pooled_httpd.Server(Site(root).root, log_level="off") as server:
        yield server
