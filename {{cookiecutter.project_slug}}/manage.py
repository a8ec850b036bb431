#!/usr/bin/env python
"""The project's command line: ``python manage.py help`` lists what it can do."""

import os
import sys


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not there. Run: make setup. Then: .venv/bin/python manage.py ...")
    try:
        bool(settings.INSTALLED_APPS)  # reads the settings
    except ImproperlyConfigured as error:
        sys.exit(str(error))  # a sentence about the environment, which a traceback would bury
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
