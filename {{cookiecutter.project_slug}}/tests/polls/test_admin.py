"""The admin's pages of the example open."""

import pytest


@pytest.mark.parametrize("path", ["question/", "question/add/", "choice/", "choice/add/"])
def test_a_page_of_the_admin_opens(admin_client, question, path):
    assert admin_client.get(f"/admin/polls/{path}").status_code == 200


def test_a_question_is_edited_with_its_choices(admin_client, question):
    text = admin_client.get(f"/admin/polls/question/{question.pk}/change/").content.decode()
    assert "Tea" in text
    assert "Coffee" in text
