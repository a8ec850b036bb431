"""Which code this process runs. While a new one is rolled out, processes of both are there."""

import hashlib
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings

_FRAMEWORKS: Final = ("Django", "djangorestframework")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
"""Folders of what the site only uses."""
_CODE: Final = frozenset({".py", ".html"})


@cache
def release() -> str:
    """Return a digest of the site's own code, and of the versions of the frameworks: equal code, equal answers.

    It is worked out once: servers and workers ask as they start, for later other files may lie there.
    """
    digest = hashlib.blake2b(" ".join(map(version, _FRAMEWORKS)).encode(), digest_size=16)
    for folder in sorted(_folders()):
        for file in sorted(folder.rglob("[!.]*")):  # without the locks that editors leave beside a file
            if file.suffix not in _CODE or _INSTALLED.intersection(file.parts):
                continue
            with suppress(OSError):  # a link that leads nowhere, a folder, or gone since it was listed
                text = file.read_bytes()
                digest.update(f"{folder.name}/{file.relative_to(folder)} {len(text)} ".encode())
                digest.update(text)
    return digest.hexdigest()


def _folders() -> set[Path]:
    """Return where the code of the site lies: its applications, and what is beside its URLs."""
    folders = {Path(config.path) for config in apps.get_app_configs()}
    urls: Any = settings.ROOT_URLCONF
    # As Django has it: a name, or the module itself, as tests put one together.
    module = import_module(urls) if isinstance(urls, str) else urls
    if (file := getattr(module, "__file__", None)) is not None:
        folders.add(Path(file).parent)
    return {folder for folder in folders if not _INSTALLED.intersection(folder.parts)}
