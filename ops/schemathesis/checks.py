"""Checks of our own, beside those that schemathesis brings: nothing goes out that the description does not mention."""

import schemathesis

# What HTTP itself brings along, and what the kind of a body is said by.
ALWAYS = {"content-length", "content-type", "date", "connection", "transfer-encoding", "keep-alive"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """In sequences, schemathesis takes numbers out of answers for headers, which then cannot be sent."""
    for name, value in list((case.headers or {}).items()):
        if not isinstance(value, (str, bytes)):
            case.headers[name] = str(value)


def resolved(document, value):
    """What a reference leads to."""
    while "$ref" in value:
        target = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


def described(case, response):
    """What the description says of an answer of this status; nothing where it says nothing."""
    document = case.operation.schema.raw_schema
    operation = document["paths"].get(case.operation.path, {}).get(case.method.lower(), {})
    answer = operation.get("responses", {}).get(str(response.status_code))
    return document, answer and resolved(document, answer)


@schemathesis.check
def every_header_is_described(ctx, response, case):
    _, answer = described(case, response)
    if answer:
        known = ALWAYS | {name.lower() for name in answer.get("headers", {})}
        more = sorted(set(response.headers) - known)
        assert not more, f"headers that the description does not mention: {more}"


def strangers(document, schema, value, at):
    """Where a value has fields that its schema does not know."""
    schema = resolved(document, schema)
    if isinstance(value, list):
        for item in value:
            yield from strangers(document, schema.get("items", {}), item, at + "[]")
    if not isinstance(value, dict):
        return
    parts = [resolved(document, part) for part in schema.get("allOf", [])]
    choices = [resolved(document, part) for word in ("oneOf", "anyOf") for part in schema.get(word, [])]
    known = {}
    for part in [*choices, *parts, schema]:
        for name, below in part.get("properties", {}).items():
            # An error's envelope is described by its own schema; what narrows it comes second.
            known.setdefault(name, below)
    if not known:
        return
    for name, below in value.items():
        if name not in known:
            yield f"{at}.{name}"
        else:
            yield from strangers(document, known[name], below, f"{at}.{name}")


@schemathesis.check
def every_field_is_described(ctx, response, case):
    document, answer = described(case, response)
    schema = (answer or {}).get("content", {}).get("application/json", {}).get("schema")
    if schema and response.content:
        more = sorted(set(strangers(document, schema, response.json(), "")))
        assert not more, f"fields that the description does not mention: {more}"
