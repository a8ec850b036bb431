"""Which code this process runs. While a new one is rolled out, processes of both are there."""

import hashlib
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

from django.apps import apps
from django.conf import settings

_FRAMEWORKS: Final = ("Django", "djangorestframework")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
"""Folders of what the site only uses."""
_CODE: Final = frozenset({".py", ".html"})


@cache
def release() -> str:
    """Return a digest of the site's own code, and of the versions of the frameworks: equal code, equal answers.

    It is worked out once. A process that can asks as it starts, for later other files may lie there.
    """
    digest = hashlib.blake2b(" ".join(map(version, _FRAMEWORKS)).encode(), digest_size=16)
    for folder in sorted(_folders()):
        for file in sorted(folder.rglob("*")):
            if file.suffix not in _CODE or _INSTALLED.intersection(file.parts):
                continue
            digest.update(f"{folder.name}/{file.relative_to(folder)} {file.stat().st_size} ".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _folders() -> set[Path]:
    """Return where the code of the site lies: its applications, and what is beside its URLs."""
    folders = {Path(config.path) for config in apps.get_app_configs()}
    if (urls := getattr(import_module(settings.ROOT_URLCONF), "__file__", None)) is not None:
        folders.add(Path(urls).parent)
    return {folder for folder in folders if not _INSTALLED.intersection(folder.parts)}
