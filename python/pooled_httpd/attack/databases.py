"""Where findings are kept, so that what one machine finds another replays."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase


class _Forgiving(ExampleDatabase):
    """One that goes away ends no campaign: what could not be kept there is in the report."""

    def __init__(self, database: ExampleDatabase, errors: type[Exception]) -> None:
        super().__init__()
        self._database, self._errors = database, errors

    def save(self, key: bytes, value: bytes) -> None:
        with suppress(self._errors):
            self._database.save(key, value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        with suppress(self._errors):
            yield from self._database.fetch(key)

    def delete(self, key: bytes, value: bytes) -> None:
        with suppress(self._errors):
            self._database.delete(key, value)


def open_database(where: str) -> ExampleDatabase:
    """A Hypothesis example database: a Redis server (``redis://host:port/number``, ``unix://path``), or a directory.

    Raises ValueError where the Redis server does not answer or the package ``redis`` is missing.
    """
    if "://" not in where:
        return DirectoryBasedExampleDatabase(Path(where))
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis
        from redis.exceptions import RedisError
    except ImportError as error:
        raise ValueError(f"{where} needs the package redis: pip install 'pooled_httpd[attack]'") from error
    try:
        connection = Redis.from_url(where)
        connection.ping()
    except (RedisError, ValueError) as error:
        raise ValueError(f"no Redis server answers at {where}: {error}") from error
    return _Forgiving(RedisExampleDatabase(connection, key_prefix=b"pooled_httpd:"), RedisError)
