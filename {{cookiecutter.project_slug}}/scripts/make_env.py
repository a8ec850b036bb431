"""Write .env from .env.example, with a fresh secret key and database password; an .env that is there stays.

Standard library only.
"""

import os
import re
import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
PLACEHOLDER = "change-me"


def filled_in(example: str) -> str:
    """Return the text of .env.example with every placeholder replaced by a secret of its own.

    The secrets consist of letters, digits, ``-`` and ``_``, which mean the same in a URL, to a shell and to
    docker-compose.
    """
    return re.sub(f"(?<==){PLACEHOLDER}$", lambda _: secrets.token_urlsafe(48), example, flags=re.MULTILINE)


def main() -> None:
    """Write the file, readable by its owner only."""
    target = FOLDER / ".env"
    example = (FOLDER / ".env.example").read_text(encoding="utf-8")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(".env is there already: left as it is.", file=sys.stderr)
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(filled_in(example))


if __name__ == "__main__":
    main()
