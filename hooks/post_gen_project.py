"""Writes the new project's .env and says what comes next. Needs no network."""

import runpy

PROJECT_SLUG = {{cookiecutter.project_slug | tojson}}

runpy.run_path("scripts/make_env.py", run_name="__main__")
print(
    f"""
{PROJECT_SLUG} is ready. Next:

    cd {PROJECT_SLUG}
    make run
    docker-compose up

`make run` serves it at http://127.0.0.1:8000 with nothing else installed, `docker-compose up` on PostgreSQL and Redis.
"""
)
