"""Print the port to serve on: the one asked for or, where it is taken, another that is free.

Standard library only. A sentence about a port that is taken goes to standard error.
"""

import socket
import sys

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on ``port``."""
    with socket.socket() as listener:
        # As the server does it: a port that merely waits for its last connections to end is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def main() -> None:
    """Read the port from the command line."""
    argument = "".join(sys.argv[1:2])
    wanted = int(argument) if argument.isdecimal() else 0
    if not 0 < wanted < 65536:
        sys.exit("Give a port between 1 and 65535, as in: make run PORT=8000")
    port = next(filter(is_free, range(wanted, min(wanted + 100, 65536))), None)
    if port is None:
        sys.exit(f"Port {wanted} of {HOST} is in use, and so are those after it. Try: make run PORT=9000")
    if port != wanted:
        print(f"Port {wanted} of {HOST} is in use: taking {port} instead.", file=sys.stderr)
    print(port)


if __name__ == "__main__":
    main()
