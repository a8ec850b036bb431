"""A name and a password for a token."""

import pytest
from rest_framework.authtoken.models import Token
from rest_framework.throttling import ScopedRateThrottle


def test_a_token_is_given_and_lets_one_write(api, author):
    response = api.post("/api/token/", {"username": "author", "password": "author-password"})
    assert response.status_code == 200
    api.credentials(HTTP_AUTHORIZATION=f"Token {response.json()['token']}")
    assert api.post("/api/questions/", {"question_text": "Why?"}).status_code == 201


def test_a_wrong_password_gives_none(api, author):
    response = api.post("/api/token/", {"username": "author", "password": "guess"})
    assert response.status_code == 400
    assert not Token.objects.exists()


def test_a_wrong_token_is_401_with_a_challenge(api, db):
    api.credentials(HTTP_AUTHORIZATION="Token wrong")
    response = api.get("/api/questions/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("path", ["/api/token/"])
def test_guesses_are_limited_per_address_whatever_header_they_bring(api, author, monkeypatch, path):
    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"token": "3/min"})
    answers = [
        api.post(
            path, {"username": "author", "password": "guess"}, headers={"x-forwarded-for": f"10.0.0.{n}"}
        ).status_code
        for n in range(5)
    ]
    assert answers == [400, 400, 400, 429, 429]
