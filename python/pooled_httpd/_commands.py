"""Console scripts of what needs an extra: without it they say so in a line, where an import would leave a traceback."""

import sys


def fuzz() -> int:
    """``pooled-httpd-fuzz``: run it and return its exit status, 2 where the extra ``[attack]`` is missing."""
    try:
        from pooled_httpd.attack.__main__ import fuzz_main
    except ModuleNotFoundError as error:
        print(f"pooled-httpd-fuzz: {error}", file=sys.stderr)
        return 2
    return fuzz_main()
