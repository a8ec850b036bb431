"""What a conditional request may be refused with."""

from rest_framework.exceptions import APIException


class PreconditionRequiredException(APIException):
    """The request has to be conditional and is not (RFC 6585, section 3)."""

    status_code = 428
    default_detail = "This request has to be conditional: send the tag of what you read."
    default_code = "precondition_required"


class PreconditionFailedException(APIException):
    """What the request was made on condition of does not hold (RFC 9110, section 15.5.13)."""

    status_code = 412
    default_detail = "It has changed, or is not what the request was made for: read it again."
    default_code = "precondition_failed"
