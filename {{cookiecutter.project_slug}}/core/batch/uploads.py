"""Files of a batch, sent on in items: each item reads them from the start, and none disturbs another."""

import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with the batch."""

    name: str
    content_type: str
    size: int
    open: Callable[[], BinaryIO]


def upload_of(file: Any) -> Upload:
    """Return how to read ``file``, one of ``request.FILES``, as often as needed, from several threads."""
    return Upload(file.name or "", file.content_type or "application/octet-stream", file.size, _opener(file))


def _opener(file: Any) -> Callable[[], BinaryIO]:
    if hasattr(file, "temporary_file_path"):
        path = file.temporary_file_path()
        return lambda: open(path, "rb")  # noqa: PTH123 - closed by the stream
    file.seek(0)
    if isinstance(file.file, io.BytesIO):
        content = file.file.getvalue()
        return lambda: io.BytesIO(content)
    with tempfile.SpooledTemporaryFile() as copy:  # an upload handler of the project's own
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        content = copy.read()
    return lambda: io.BytesIO(content)


class MultipartStream(io.RawIOBase):
    """The body of a form with files, read piece by piece; nothing is copied before it is asked for."""

    def __init__(
        self, fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, str]], uploads: Mapping[str, list[Upload]]
    ) -> None:
        self._boundary = f"batch-{uuid4().hex}"
        self._open: BinaryIO | None = None
        self._pieces: list[bytes | Upload] = [self._field(name, value) for name, value in fields]
        for field, part in files:
            for upload in uploads[part]:
                self._pieces += [self._head(field, upload), upload, b"\r\n"]
        self._pieces.append(f"--{self._boundary}--\r\n".encode())
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.content_length = sum(piece.size if isinstance(piece, Upload) else len(piece) for piece in self._pieces)
        self._pieces.reverse()

    def _field(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
        return f"{head}{value}\r\n".encode(errors="replace")

    def _head(self, field: str, upload: Upload) -> bytes:
        names = f'name="{_quoted(field)}"; filename="{_quoted(upload.name)}"'
        head = f"--{self._boundary}\r\nContent-Disposition: form-data; {names}\r\n"
        return f"{head}Content-Type: {upload.content_type}\r\n\r\n".encode(errors="replace")

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` as far as the piece at hand reaches."""
        while self._open is not None or self._pieces:
            if self._open is None:
                piece = self._pieces.pop()
                self._open = piece.open() if isinstance(piece, Upload) else io.BytesIO(piece)
            if chunk := self._open.read(len(buffer)):
                buffer[: len(chunk)] = chunk
                return len(chunk)
            self._open.close()
            self._open = None
        return 0

    def close(self) -> None:
        """Close the file that is being read."""
        if self._open is not None:
            self._open.close()
        super().close()


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\r", "%0D").replace("\n", "%0A")
