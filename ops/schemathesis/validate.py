"""Whether a file is OpenAPI 3.1, and each example in it an instance of its schema: `validate.py openapi.json`."""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator


def contents(document):
    """Every body that is described, with where it is."""
    for name, answer in document["components"].get("responses", {}).items():
        for content in answer.get("content", {}).values():
            yield name, content
    for path, item in document["paths"].items():
        for method, operation in item.items():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (content for body in bodies for content in body.get("content", {}).values()):
                yield f"{method} {path}", content


def main(file):
    with open(file, encoding="utf-8") as text:
        document = json.load(text)
    problems = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    count = 0
    for place, content in contents(document):
        examples = [example["value"] for example in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        # References lead into the document.
        schema = {**content["schema"], "components": document["components"]}
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for example in examples:
            count += 1
            problems += [f"{place}: {error.json_path}: {error.message}" for error in validator.iter_errors(example)]
    print("\n".join(problems) or f"sound: OpenAPI {document['openapi']}, {count} examples fit their schemas")
    return bool(problems)


sys.exit(main(sys.argv[1]))
