"""``POST /api/token/``: a name and a password for a token."""

from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.throttling import ScopedRateThrottle


class ObtainTokenView(ObtainAuthToken):
    """Give the token of a user, to be sent as ``Authorization: Token <key>``.

    Guesses are counted per address under the throttle scope ``token``.
    """

    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "token"
