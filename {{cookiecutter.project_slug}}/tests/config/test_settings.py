"""``config/settings.py`` under different environments, each in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
KEY = "k" * 50
FEATURES = ("BATCH", "ROUTERS", "CACHING", "ETAGS", "BULK", "REACTIVE", "BINDINGS")
DEPLOYED = {
    "SECRET_KEY": "7p3vLqE9sN0cXyBzRkW5tGmHdJfU2aQ8iOoTeVbKxSlZwYrCn1",
    "ALLOWED_HOSTS": "example.com",
    "HTTPS": "true",
    "HSTS_INCLUDE_SUBDOMAINS": "true",
    "HSTS_PRELOAD": "true",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
}


def python(*arguments, env_file=os.devnull, **environment):
    """Run Python in the project's folder with nothing in the environment but what is given."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "ENV_FILE": str(env_file), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def settings(*names, env_file=os.devnull, **environment):
    """Return the named settings as they are under ``environment``."""
    code = (
        f"import json; from config import settings; print(json.dumps([getattr(settings, n, None) for n in {names!r}]))"
    )
    done = python("-c", code, env_file=env_file, **environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found[0] if len(names) == 1 else found


def refusal(**environment):
    """Return the last line that Python prints when the settings refuse to load."""
    done = python("-c", "import config.settings", **environment)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("key", [None, "", "change-me", "change-me-" + KEY, "django-insecure-" + KEY, "short"])
def test_without_debug_a_missing_or_placeholder_key_stops_the_start(key):
    sentence = refusal(**({} if key is None else {"SECRET_KEY": key}))
    assert "SECRET_KEY is missing, too short or a placeholder" in sentence
    assert "python -c 'import secrets; print(secrets.token_urlsafe(50))'" in sentence


def test_the_key_that_the_sentence_recommends_is_accepted():
    made = python("-c", "import secrets; print(secrets.token_urlsafe(50))").stdout.strip()
    assert settings("SECRET_KEY", "DEBUG", SECRET_KEY=made) == [made, False]


def test_with_debug_no_key_is_needed():
    assert settings("DEBUG", DEBUG="true") is True


@pytest.mark.parametrize("name", ["DEBUG", "HTTPS", "ATOMIC_REQUESTS", "CORE_BATCH_ENABLED", "CORE_REACTIVE_ENABLED"])
def test_a_boolean_with_a_typing_error_is_refused_by_name(name):
    sentence = refusal(**{"SECRET_KEY": KEY, name: "ture"})
    assert f"{name} is 'ture' in the environment. Write true or false." in sentence


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("PROXIES", "two", "Write a number, such as 0."),
        ("HSTS_SECONDS", "-1", "Write a number"),
        ("DATABASE_POOL_SIZE", "1e3", "Write a number"),
        ("TIME_ZONE", "Europe/Pari", "Write a name such as Europe/Ljubljana."),
        ("LOG_LEVEL", "VERBOSE", "Write one of"),
        ("THROTTLE_ANON", "lots", "such as 600/min"),
        ("THROTTLE_TOKEN", "10/fortnight", "such as 10/min"),
        ("REDIS_URL", "127.0.0.1:6379", "redis://127.0.0.1:6379/0"),
        ("DATABASE_URL", "foo", "postgres://"),
        ("DATABASE_URL", "mongodb://127.0.0.1/x", "postgres://"),
        ("ALLOWED_HOSTS", "a.example,https://b.example", "host names without a scheme"),
        ("CSRF_TRUSTED_ORIGINS", "example.com", "origins, such as https://example.com"),
        ("CORE_BLUK_ENABLED", "true", "BATCH, ROUTERS, CACHING, ETAGS, BULK, REACTIVE, BINDINGS"),
        ("CORE_BULK_ENABELD", "true", "BATCH, ROUTERS, CACHING, ETAGS, BULK, REACTIVE, BINDINGS"),
        ("CORE_REACTIVE_THROTTLE_RATE", "1", "all else is set in config/settings.py, in CORE"),
    ],
)
def test_a_value_that_is_no_good_is_refused_by_name_with_what_to_write(name, value, advice):
    sentence = refusal(**{"SECRET_KEY": KEY, "HTTPS": "true", name: value})
    assert sentence.startswith(f"django.core.exceptions.ImproperlyConfigured: {name} ")
    assert advice in sentence


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("ALOWED_HOSTS", "ALLOWED_HOSTS"),
        ("REDISURL", "REDIS_URL"),
        ("export TIMEZONE", "TIME_ZONE"),
        ("DEBUGG", "DEBUG"),
        ("secret_key", "SECRET_KEY"),
    ],
)
def test_a_misspelt_name_in_the_file_is_refused_with_the_one_that_is_meant(tmp_path, misspelt, meant):
    (tmp_path / ".env").write_text(f"{misspelt}=1\n")
    sentence = refusal(SECRET_KEY=KEY, ENV_FILE=str(tmp_path / ".env"))
    name = misspelt.removeprefix("export ")
    assert f"ImproperlyConfigured: {name} stands in .env and means nothing. Write {meant};" in sentence


def test_other_variables_in_the_file_are_ones_own(tmp_path):
    (tmp_path / ".env").write_text("MAIL_URL=smtp://127.0.0.1\n# DEBUGG=true\nDEBUG=true\nPOSTGRES_PASSWORD=x\n")
    assert settings("DEBUG", SECRET_KEY=KEY, ENV_FILE=str(tmp_path / ".env")) is True


def test_other_names_in_the_environment_are_other_peoples():
    """Kubernetes tells of a service named core in this way."""
    assert settings("DEBUG", SECRET_KEY=KEY, DEBUG="true", CORE_SERVICE_HOST="10.0.0.1", REDISURL="x") is True


def test_an_empty_variable_is_one_that_is_not_set():
    names = ("TIME_ZONE", "REDIS_URL", "DEBUG", "CORE")
    empty = {"TIME_ZONE": "", "REDIS_URL": "", "DEBUG": "", "CORE_BULK_ENABLED": "", "DATABASE_URL": ""}
    assert settings(*names, SECRET_KEY=KEY, **empty) == settings(*names, SECRET_KEY=KEY)


def test_the_command_line_shows_the_sentence_and_no_traceback():
    done = python("manage.py", "check", SECRET_KEY=KEY, DEBUG="ture")
    assert done.returncode == 1
    assert done.stderr == "DEBUG is 'ture' in the environment. Write true or false.\n"


@pytest.mark.parametrize(("word", "value"), [("true", True), ("1", True), ("ON", True), ("no", False)])
def test_the_usual_words_for_true_and_false_are_understood(word, value):
    assert settings("CORE", SECRET_KEY=KEY, CORE_BULK_ENABLED=word)["BULK"]["ENABLED"] is value


@pytest.mark.parametrize("feature", FEATURES)
def test_each_toggle_comes_from_its_variable(feature):
    core = settings("CORE", SECRET_KEY=KEY, **{f"CORE_{feature}_ENABLED": "false"})
    assert {name for name, section in core.items() if section.get("ENABLED") is False} == {feature}


def test_env_is_read_if_present_and_the_environment_wins(tmp_path):
    file = tmp_path / ".env"
    file.write_text(f"SECRET_KEY={KEY}\nTIME_ZONE=Europe/Ljubljana\nALLOWED_HOSTS=a.example,b.example\n")
    assert settings("TIME_ZONE", "ALLOWED_HOSTS", env_file=file) == ["Europe/Ljubljana", ["a.example", "b.example"]]
    assert settings("TIME_ZONE", env_file=file, TIME_ZONE="UTC") == "UTC"


def test_the_default_database_is_sqlite_where_readers_do_not_wait():
    database = settings("DATABASES", SECRET_KEY=KEY)["default"]
    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["NAME"] == str(PROJECT / "db.sqlite3")
    assert database["ATOMIC_REQUESTS"] is False
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert database["OPTIONS"]["timeout"] == 20
    assert "journal_mode = WAL" in database["OPTIONS"]["init_command"]


def test_postgresql_keeps_a_pool_unless_told_otherwise():
    url = "postgres://user:p%40ss@db:5432/app"
    database = settings("DATABASES", SECRET_KEY=KEY, DATABASE_URL=url)["default"]
    assert (database["HOST"], database["PASSWORD"], database["NAME"]) == ("db", "p@ss", "app")
    assert database["OPTIONS"]["pool"]["max_size"] == 20
    database = settings("DATABASES", SECRET_KEY=KEY, DATABASE_URL=url, DATABASE_POOL_SIZE="0")["default"]
    assert "pool" not in database["OPTIONS"]


def test_without_redis_cache_and_channel_layer_are_in_memory():
    caches, layers = settings("CACHES", "CHANNEL_LAYERS", SECRET_KEY=KEY)
    assert caches["default"]["BACKEND"].endswith("LocMemCache")
    assert layers["default"]["BACKEND"].endswith("InMemoryChannelLayer")


def test_with_redis_both_use_it_without_pickle_and_with_room_between_the_timeouts():
    url = "redis://127.0.0.1:6379/3"
    caches, layers = settings("CACHES", "CHANNEL_LAYERS", SECRET_KEY=KEY, REDIS_URL=url, REDIS_PREFIX="shop")
    assert caches["default"]["OPTIONS"]["serializer"] == "core.serialization.JSONCacheSerializer"
    assert caches["default"]["OPTIONS"]["pool_class"] == "core.pooling.ProcessPool"
    assert caches["default"]["KEY_PREFIX"] == "shop"
    (host,) = layers["default"]["CONFIG"]["hosts"]
    assert host["address"] == url
    assert host["socket_timeout"] > 5
    assert layers["default"]["CONFIG"]["prefix"].startswith("shop")


def test_https_is_one_switch():
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
    assert settings(*names, SECRET_KEY=KEY) == [False, False, False, 0]
    assert settings(*names, SECRET_KEY=KEY, HTTPS="true") == [True, True, True, 3600]


def test_headers_of_a_proxy_are_believed_only_where_there_is_one():
    assert settings("SECURE_PROXY_SSL_HEADER", SECRET_KEY=KEY) is None
    assert settings("SECURE_PROXY_SSL_HEADER", SECRET_KEY=KEY, PROXIES="1") == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert settings("REST_FRAMEWORK", SECRET_KEY=KEY)["NUM_PROXIES"] == 0


def test_a_deployment_with_the_documented_variables_has_nothing_to_report():
    done = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", **DEPLOYED)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"CORE_CACHING_ENABLED": "ture"}, "CORE_CACHING_ENABLED is 'ture'"),
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
    ],
)
def test_a_server_that_runs_no_checks_refuses_bad_settings_too(environment, said):
    done = python("-c", "import config.asgi", **{**DEPLOYED, **environment})
    assert done.returncode == 1
    assert said in done.stderr


def test_asgi_refuses_an_invalid_section_itself():
    code = "from config import settings; settings.CORE['BATCH']['ENABELD'] = True; import config.asgi"
    done = python("-c", code, **DEPLOYED)
    assert done.returncode == 1
    assert "no key 'ENABELD'" in done.stderr.splitlines()[-1]


def test_every_variable_that_is_read_stands_in_the_example_file():
    source = (PROJECT / "config/settings.py").read_text()
    example = (PROJECT / ".env.example").read_text()
    read = set(re.findall(r'(?:text|flag|number|hosts|rate|env\.str)\(\s*"([A-Z_]+)"', source))
    names = read | {f"CORE_{feature}_ENABLED" for feature in FEATURES}
    assert len(names) > 20
    missing = {name for name in names if f"\n{name}=" not in example and f"\n#{name}=" not in example}
    assert not missing
