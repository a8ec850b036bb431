"""The example's page."""

from django.urls import path

from polls.pages import IconView, QuestionsPage

app_name = "polls"
urlpatterns = [
    path("", QuestionsPage.as_view(), name="page"),
    path("favicon.ico", IconView.as_view(), name="icon"),
]
