"""The rules of the IIIF Presentation API 3.0 for what we publish, as a JSON Schema.

Stricter than the standard where we could be more careless: properties that we do not use are
refused, and so is what is only recommended and missing.

Source: IIIF Presentation API 3.0, sections 3 (properties), 5 (resources) and appendix A.
"""

from typing import Any

_URI = {"type": "string", "pattern": "^https?://[^\\s#]+$"}
_SIZE = {"type": "integer", "exclusiveMinimum": 0}
_SECONDS = {"type": "number", "exclusiveMinimum": 0}
_WORDS = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": "^(none|en|de)$"},
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
}
_PAIR = {"label": _WORDS, "value": _WORDS}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


def _make(needed: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(needed),
        "properties": needed | (more or {}),
        "additionalProperties": False,
    }


_CONTEXT = {"const": "http://iiif.io/api/presentation/3/context.json"}
_ABOUT: dict[str, Any] = {
    "@context": _CONTEXT,
    "id": _URI,
    "label": _WORDS,
    # May be empty: a work of which nothing is known.
    "metadata": {"type": "array", "items": _make(_PAIR)},
    "requiredStatement": _make(_PAIR),
    "provider": _list(_ref("agent")),
}
_MORE: dict[str, Any] = {
    "summary": _WORDS,
    "thumbnail": _list(_ref("picture")),
    "homepage": _list(_ref("page")),
    "partOf": _list(_ref("reference")),
    # Section 3.1: the licence must be one of these, by http.
    "rights": {
        "type": "string",
        "pattern": "^http://(creativecommons.org/(licenses|publicdomain)|rightsstatements.org/vocab)/",
    },
}

SCHEMA: dict[str, Any] = {
    "oneOf": [_ref("manifest"), _ref("collection")],
    "$defs": {
        "manifest": _make(
            _ABOUT
            | {
                "type": {"const": "Manifest"},
                "items": _list(_ref("canvas")),
                "thumbnail": _MORE["thumbnail"],
                "homepage": _MORE["homepage"],
            },
            _MORE | {"behavior": _list({"enum": ["individuals", "unordered", "continuous"]})},
        ),
        "collection": _make(
            _ABOUT | {"type": {"const": "Collection"}, "items": _list(_ref("reference"))}, _MORE
        ),
        "reference": _make(
            {"id": _URI, "type": {"enum": ["Manifest", "Collection"]}, "label": _WORDS},
            {"thumbnail": _MORE["thumbnail"]},
        ),
        "canvas": _make(
            {
                "id": _URI,
                "type": {"const": "Canvas"},
                "label": _WORDS,
                "width": _SIZE,
                "height": _SIZE,
                "thumbnail": _MORE["thumbnail"],
                "items": _list(_ref("annotations")),
            },
            # Section 3.1: of videos.
            {"duration": _SECONDS, "placeholderCanvas": _ref("placeholder")},
        ),
        "placeholder": _make(
            {
                "id": _URI,
                "type": {"const": "Canvas"},
                "width": _SIZE,
                "height": _SIZE,
                "items": _list(_ref("annotations")),
            }
        ),
        "annotations": _make(
            {
                "id": _URI,
                "type": {"const": "AnnotationPage"},
                "items": _list(_ref("annotation")),
            }
        ),
        "annotation": _make(
            {
                "id": _URI,
                "type": {"const": "Annotation"},
                "motivation": {"const": "painting"},
                "body": {"oneOf": [_ref("picture"), _ref("video")]},
                "target": _URI,
            }
        ),
        "picture": _make(
            {
                "id": _URI,
                "type": {"const": "Image"},
                "format": {"const": "image/webp"},
                "width": _SIZE,
                "height": _SIZE,
            },
            {"service": _list(_ref("service"))},
        ),
        "video": _make(
            {
                "id": _URI,
                "type": {"const": "Video"},
                "format": {"enum": ["video/mp4", "video/webm"]},
                "width": _SIZE,
                "height": _SIZE,
                "duration": _SECONDS,
            }
        ),
        "service": _make(
            {
                "id": _URI,
                "type": {"const": "ImageService3"},
                "profile": {"enum": ["level0", "level1", "level2"]},
            }
        ),
        "page": _make(
            {
                "id": _URI,
                "type": {"const": "Text"},
                "label": _WORDS,
                "format": {"const": "text/html"},
            },
            {"language": _list({"enum": ["en", "de"]})},
        ),
        "agent": _make(
            {
                "id": _URI,
                "type": {"const": "Agent"},
                "label": _WORDS,
                "homepage": _list(_ref("page")),
            }
        ),
    },
}
