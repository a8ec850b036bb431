"""The other features inside a batch, on the example."""

import json

import pytest

from polls.models import Choice, Question


@pytest.fixture
def batch(api, author):
    """Sends items as the author and returns code and body of each."""
    api.force_authenticate(author)

    def send(*items, **options):
        response = api.post("/api/batch/", {"batch": list(items), **options})
        assert response.status_code == 200, response.content
        return [(each["code"], json.loads(each["body"]) if each["body"] else None) for each in response.json()]

    return send


@pytest.mark.django_db(transaction=True)
class TestInABatch:
    def test_a_tag_that_one_item_was_given_is_the_condition_of_the_next(self, batch, question):
        url = f"/api/questions/{question.pk}/"
        change = {"method": "PATCH", "relative_url": url, "headers": {"If-Match": "{result=read:$headers.ETag}"}}
        (read, _), (first, body), (second, _) = batch(
            {"method": "GET", "relative_url": url, "name": "read"},
            {**change, "body": {"question_text": "First?"}},
            {**change, "body": {"question_text": "Second?"}},
        )
        assert (read, first, second) == (200, 200, 412)
        assert body["question_text"] == "First?"

    @pytest.mark.parametrize("atomic", [False, True])
    def test_reads_after_a_write_see_it_though_an_answer_was_cached(self, api, batch, question, atomic):
        url = f"/api/questions/{question.pk}/"
        api.get(url)
        results = batch(
            {"method": "GET", "relative_url": url},
            {"method": "PATCH", "relative_url": url, "body": {"question_text": "Changed?"}},
            {"method": "GET", "relative_url": url},
            atomic=atomic,
        )
        assert [body["question_text"] for _, body in results] == ["Tea or coffee?", "Changed?", "Changed?"]
        assert api.get(url).json()["question_text"] == "Changed?"

    def test_what_an_atomic_batch_has_taken_back_stays_in_no_cache(self, api, batch, question):
        url = f"/api/questions/{question.pk}/"
        results = batch(
            {"method": "PATCH", "relative_url": url, "body": {"question_text": "Changed?"}},
            {"method": "GET", "relative_url": url},
            {"method": "GET", "relative_url": "/api/questions/999999/"},
            atomic=True,
        )
        assert [code for code, _ in results] == [424, 424, 404]
        assert api.get(url).json()["question_text"] == "Tea or coffee?"
        assert Question.objects.get().question_text == "Tea or coffee?"

    def test_tags_are_conditions_in_an_atomic_batch_too(self, api, batch, question):
        """The tag of what is not committed yet is that of the row as the batch has made it."""
        url = f"/api/questions/{question.pk}/"

        def change(name, text):
            headers = {"If-Match": f"{{result={name}:$headers.ETag}}"}
            return {"method": "PATCH", "relative_url": url, "headers": headers, "body": {"question_text": text}}

        read = {"method": "GET", "relative_url": url, "name": "read"}
        first = {**change("read", "First?"), "name": "first"}
        results = batch(read, first, change("first", "Second?"), atomic=True)
        assert [code for code, _ in results] == [200, 200, 200]
        tag = api.get(url)["ETag"]
        assert api.get(url).json()["question_text"] == "Second?"
        results = batch(read, first, change("read", "Third?"), atomic=True)
        assert [code for code, _ in results] == [424, 424, 412]
        assert api.get(url)["ETag"] == tag

    def test_bulk_verbs_take_effect_with_the_atomic_batch_or_not_at_all(self, api, batch, question):
        url = f"/api/questions/{question.pk}/choices/"
        header = {"X-BULK-OPERATION": "true"}
        items = [
            {"method": "POST", "relative_url": url, "body": [{"choice_text": "Water"}, {"choice_text": "Juice"}]},
            {"method": "PATCH", "relative_url": url, "headers": header, "body": {"choice_text": "Same"}},
            {"method": "GET", "relative_url": url},
        ]
        before = api.get(url).content
        results = batch(*items, {"method": "GET", "relative_url": "/api/questions/0/"}, atomic=True)
        assert [code for code, _ in results] == [424, 424, 424, 404]
        assert api.get(url).content == before
        results = batch(*items, atomic=True)
        assert [code for code, _ in results] == [201, 204, 200]
        for shown in (results[2][1], api.get(url).json()):
            assert [row["choice_text"] for row in shown["results"]] == ["Same"] * 4

    def test_bulk_verbs_and_nested_routes_work(self, batch, question):
        url = f"/api/questions/{question.pk}/choices/"
        header = {"X-BULK-OPERATION": "true"}
        results = batch(
            {"method": "POST", "relative_url": url, "body": [{"choice_text": "Water"}, {"choice_text": "Juice"}]},
            {"method": "PATCH", "relative_url": url, "headers": header, "body": {"choice_text": "Same"}},
            {"method": "DELETE", "relative_url": f"{url}?choice_text=Same", "headers": header},
        )
        assert [code for code, _ in results] == [201, 204, 204]
        assert not Choice.objects.exists()
