"""Bodies without unknown members, types that are not guessed, pages, and problem details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers

TEXT_LIMIT: Final = 2000
PAGE_LIMIT: Final = 100
PAGE_DEFAULT: Final = 25
OFFSET_LIMIT: Final = 100_000


class StrictSerializer(serializers.Serializer):
    """A body or query in which every member must be known."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the members. Raises ValidationError that names the unknown ones and what is wrong with the others."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        refused: dict[str, Any] = {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            refused = dict(error.detail) if isinstance(error.detail, dict) else {"": error.detail}
        for name in unknown[:10]:
            refused[name] = [serializers.ErrorDetail("This is not a member of the request.", code="unknown")]
        if refused:
            raise serializers.ValidationError(refused)
        return value


class Text(serializers.CharField):
    """A string as it was given; a number is not turned into one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return the string. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class WholeNumber(serializers.IntegerField):
    """A JSON number without fraction; a string is not turned into one."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Raises ValidationError."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class StepName(serializers.ChoiceField):
    """The name of a transition, of the names given."""

    def to_internal_value(self, data: Any) -> str:
        """Return the name. Raises ValidationError."""
        if not isinstance(data, str):
            self.fail("invalid_choice", input=type(data).__name__)
        return str(super().to_internal_value(data))


def optional_text(**options: Any) -> Text:
    """Return a field for words that may be left out."""
    return Text(required=False, allow_blank=True, default="", max_length=TEXT_LIMIT, **options)


def override_text() -> Text:
    """Return the field for why something is approved in spite of what the automatic checks found."""
    return optional_text(help_text="Why it is fine to approve it in spite of what the automatic checks found. Only our staff reads it.")


class PageQuery(StrictSerializer):
    """Which part of a list."""

    limit = serializers.IntegerField(required=False, default=PAGE_DEFAULT, min_value=1, max_value=PAGE_LIMIT)
    offset = serializers.IntegerField(required=False, default=0, min_value=0, max_value=OFFSET_LIMIT)


def page_of(item: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """Return the serializer of a page of items."""
    members = {
        "__doc__": "A part of a list, in an order that stays.",
        "items": item(many=True),
        "total": serializers.IntegerField(min_value=0),
        "next": serializers.URLField(allow_null=True, help_text="Where the list goes on."),
    }
    return type(item.__name__.removesuffix("Serializer") + "PageSerializer", (serializers.Serializer,), members)


class ProblemItemSerializer(serializers.Serializer):
    """One thing that is wrong with a request."""

    field = serializers.CharField(help_text="The member at fault, such as redirect_uris[1].")
    code = serializers.CharField()
    sentence = serializers.CharField()
    hint = serializers.CharField(allow_blank=True)


class ProblemSerializer(serializers.Serializer):
    """Why a request was refused (RFC 9457). Programs decide by `code` and `reason`, people read `detail`."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField(min_value=400, max_value=599)
    detail = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    instance = serializers.CharField(required=False)
    reason = serializers.CharField(required=False, help_text="Why a transition was refused, as a stable word.")
    errors = ProblemItemSerializer(many=True, required=False)  # type: ignore[assignment]
