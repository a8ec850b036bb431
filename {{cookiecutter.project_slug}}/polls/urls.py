"""The example's page."""

from django.urls import path

from polls.pages import QuestionsPage

app_name = "polls"
urlpatterns = [path("", QuestionsPage.as_view(), name="page")]
