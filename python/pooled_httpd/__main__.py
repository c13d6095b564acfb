"""``python -m pooled_httpd`` and the console script ``httpserver``: the program's own command line."""

import sys

from pooled_httpd._native import run_command_line


def main() -> int:
    """Run the command line of this process and return its exit status."""
    return run_command_line(["httpserver", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
