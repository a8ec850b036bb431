"""The ASGI application: HTTP, WebSocket and worker channels, for daphne, ``runserver`` and any other server."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Nothing that touches models may be imported before.
django.setup(set_prefix=False)

from channels.routing import ChannelNameRouter, ProtocolTypeRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402

from core.checks import require_valid_settings  # noqa: E402
from core.release import release  # noqa: E402
from core.routing import websocket_urlpatterns, worker_channels  # noqa: E402
from core.sockets import websocket_application  # noqa: E402
from core.supervisor import Supervised, supervisor  # noqa: E402

# daphne and uvicorn run no system checks.
require_valid_settings()
# Asked while the files are those that this process has loaded.
release()

application = Supervised(
    ProtocolTypeRouter(
        {
            "http": get_asgi_application(),
            "websocket": websocket_application(websocket_urlpatterns()),
            "channel": ChannelNameRouter(worker_channels()),
        }
    ),
    supervisor,
)
