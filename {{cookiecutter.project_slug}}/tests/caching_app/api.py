"""Viewsets over books, with every mixin; and what tests use to ask them."""

from rest_framework import serializers
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.viewsets import ModelViewSet

from core.caching import CacheResponseMixin
from core.etags import APIETAGMixin, CacheResponseAndETAGMixin, ETAGMixin
from tests.caching_app.models import Book, City, Review


class ReviewSerializer(serializers.ModelSerializer):
    class Meta:
        model = Review
        fields = ("id", "text")


class BookSerializer(serializers.ModelSerializer):
    reviews = ReviewSerializer(many=True, read_only=True)
    review_count = serializers.SerializerMethodField()

    class Meta:
        model = Book
        fields = ("id", "title", "pages", "tags", "reviews", "review_count")
        extra_kwargs = {"tags": {"required": False}}

    def get_review_count(self, book):
        # A query of its own, which no queryset tells of.
        return Review.objects.filter(book=book).count()


class CitySerializer(serializers.ModelSerializer):
    class Meta:
        model = City
        fields = ("id", "name")


class IsOwner(BasePermission):
    def has_object_permission(self, request, view, obj):
        return obj.owner_id == request.user.pk


class Books(ModelViewSet):
    queryset = Book.objects.all()
    serializer_class = BookSerializer
    permission_classes = (AllowAny,)
    filterset_fields = ("title",)
    pagination_class = None


class CachedBooks(CacheResponseMixin, Books):
    pass


class OwnedBooks(CacheResponseMixin, Books):
    permission_classes = (IsOwner,)


class TaggedBooks(ETAGMixin, Books):
    pass


class StoredBooks(APIETAGMixin, Books):
    pass


class CachedTaggedBooks(CacheResponseAndETAGMixin, Books):
    pass
