"""Views of every kind, for batches to call."""

import asyncio
import hashlib
import threading
import time

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from django.utils import timezone, translation
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from rest_framework.decorators import api_view, permission_classes, throttle_classes
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.throttling import AnonRateThrottle

from core.batch import BatchView
from tests.testapp.models import Note, Tag

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
calls = []
"""What was called, in order; a test empties it."""
barrier = threading.Barrier(2)
"""Who comes to ``meet`` waits for so many. A test sets another one where it wants more."""


@api_view(METHODS)
@permission_classes([AllowAny])
def echo(request, rest=""):
    calls.append(request.get_full_path())
    data = request.data
    files = request.FILES
    return Response(
        {
            "method": request.method,
            "url": request.build_absolute_uri(),
            "rest": rest,
            "query": {key: request.GET.getlist(key) for key in request.GET},
            "type": request.content_type,
            "data": {key: data.getlist(key) for key in data if key not in files} if hasattr(data, "getlist") else data,
            "files": {
                key: [[each.name, each.content_type, hashlib.sha256(each.read()).hexdigest()] for each in found]
                for key, found in files.lists()
            },
            "user": request.user.username,
            "headers": dict(request.headers),
            "address": request.META["REMOTE_ADDR"],
            "remote_user": request.META.get("REMOTE_USER"),
            "secure": request.is_secure(),
            "language": translation.get_language(),
            "zone": timezone.get_current_timezone_name(),
            "thread": threading.current_thread().name,
        },
        headers={"ETag": '"the tag"', "X-Name": "caf\u00e9 a/b"},
    )


def boom(request):
    raise RuntimeError("a secret of the server")


def activate(request):
    translation.activate("fr")
    timezone.activate("Asia/Tokyo")
    return HttpResponse(gettext("Yes"))


def says(request):
    return JsonResponse({"language": translation.get_language(), "zone": timezone.get_current_timezone_name()})


def binary(request):
    return HttpResponse(bytes(range(256)), content_type="image/png")


def file(request):
    import io

    return FileResponse(io.BytesIO(b"\x00\xff" * 1000), filename="a.bin")


def stream(request):
    return StreamingHttpResponse((b"part %d\n" % number for number in range(3)), content_type="text/plain")


def endless(request):
    def parts():
        try:
            while True:
                yield b"x" * 1000
        finally:
            calls.append("closed")

    return StreamingHttpResponse(parts(), content_type="text/plain")


def trickle(request):
    """Send a little, again and again."""

    def parts():
        try:
            while True:
                time.sleep(0.01)
                yield b"x"
        finally:
            calls.append("closed")

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def async_trickle(request):
    """Begin, and never come to the next part."""

    async def parts():
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            calls.append("closed")

    return StreamingHttpResponse(parts(), content_type="text/plain")


async def async_view(request):
    return JsonResponse({"async": True})


async def async_stream(request):
    async def parts():
        yield b"one"
        yield b"two"

    return StreamingHttpResponse(parts(), content_type="text/plain")


def breaks_off(request):
    def parts():
        yield b"x"
        raise RuntimeError("in the middle")

    return StreamingHttpResponse(parts(), content_type="text/plain")


def redirect(request):
    return HttpResponseRedirect(request.GET.get("to", "/echo/"))


@csrf_exempt
def half(request):
    return HttpResponse(rb'{"half": "\ud800"}', content_type="application/json")


def cookies(request):
    response = HttpResponse("set")
    response.set_cookie("flavour", "oat", httponly=True)
    return response


@csrf_exempt
def log_in(request):
    login(request, User.objects.get(username="author"), "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")


@csrf_exempt
def log_out(request):
    logout(request)
    return HttpResponse("out")


def remember(request):
    request.session["seen"] = [*request.session.get("seen", []), request.GET["what"]]
    return JsonResponse(request.session["seen"], safe=False)


def plain_post(request):
    return HttpResponse("posted")


@api_view(["POST"])
@permission_classes([AllowAny])
def tag(request):
    """Make a tag, without a transaction of its own."""
    calls.append("tag")
    made = Tag.objects.create(name=request.data["name"])
    transaction.on_commit(lambda: calls.append(f"committed {made.name}"))
    if request.data.get("fail"):
        raise ValidationError({"name": ["Written, and then refused."]})
    if request.data.get("hook_fails"):
        transaction.on_commit(lambda: 1 / 0)
    return Response({"id": made.pk, "name": made.name}, status=201)


@api_view(["POST"])
@permission_classes([AllowAny])
def careless(request):
    """Catch an error of the database, and report success."""
    from contextlib import suppress

    from django.db import DatabaseError

    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM there_is_no_such_table")
    return Response({"fine": True})


@api_view(["POST"])
@permission_classes([AllowAny])
def dangling(request):
    """Refer to a row that is not there, which databases notice at the commit."""
    Note.objects.create(folder_id=10**6, text="dangling")
    return Response({"fine": True})


@api_view(["POST"])
@permission_classes([AllowAny])
def spoil(request):
    transaction.set_rollback(True)
    return Response({"fine": True})


@api_view(["GET"])
@permission_classes([AllowAny])
def tags(request):
    return Response({"names": list(Tag.objects.values_list("name", flat=True))})


@api_view(["GET", "POST"])
@permission_classes([AllowAny])
def slow(request):
    calls.append("began")
    time.sleep(0.05)
    calls.append("ended")
    return Response({"thread": threading.current_thread().name, "count": Tag.objects.count()})


def reads(request):
    """Read the database, and tell the thread."""
    Tag.objects.exists()
    return HttpResponse(threading.current_thread().name, content_type="text/plain")


def meet(request):
    """Wait for the others, read the database, and tell the thread."""
    calls.append("began")
    barrier.wait(60)
    calls.append("ended")
    Tag.objects.exists()
    return HttpResponse(threading.current_thread().name, content_type="text/plain")


class TwicePerMinute(AnonRateThrottle):
    scope = "toy"  # or the batch itself would count
    rate = "2/min"


@api_view(["GET", "POST"])
@permission_classes([AllowAny])
@throttle_classes([TwicePerMinute])
def throttled(request):
    return Response("ok")


class NoBrakes(BatchView):
    pass


urls = [
    path("api/batch/", BatchView.as_view(), name="batch"),
    path("other/", NoBrakes.as_view()),
    path("echo/", echo),
    path("echo/<path:rest>/", echo),
    *(
        path(f"{name}/", globals()[name])
        for name in [
            "boom",
            "activate",
            "says",
            "binary",
            "file",
            "stream",
            "endless",
            "trickle",
            "async_trickle",
            "async_view",
            "async_stream",
            "breaks_off",
            "redirect",
            "half",
            "cookies",
            "log_in",
            "log_out",
            "remember",
            "plain_post",
            "tag",
            "careless",
            "dangling",
            "spoil",
            "tags",
            "slow",
            "meet",
            "reads",
            "throttled",
        ]
    ),
    path("accounts/", include([path("reset/", says, name="password_reset")])),
    path("login/", says, name="login"),
]
