"""OpenAPI: metadata, docs, webhooks, callbacks, separate schemas, own docs, extended and switched off."""

from ..case import get, page, post_json, request

CASES = (
    *page(
        "Metadata and Docs URLs",
        "openapi",
        get("the schema", "/openapi.json"),
        request("HEAD of the schema", "HEAD", "/openapi.json"),
        request("POST to the schema", "POST", "/openapi.json"),
        get("Swagger UI", "/docs"),
        get("ReDoc", "/redoc"),
        get("the OAuth2 redirect", "/docs/oauth2-redirect"),
        get("a slash too many", "/docs/"),
    ),
    *page(
        "OpenAPI Callbacks, OpenAPI Webhooks",
        "openapi",
        post_json("a route with callbacks", "/invoices/?callback_url=http://a.b/c", {"id": "1", "total": 2}),
        post_json("a route with callbacks, wrong", "/invoices/?callback_url=nope", {"id": 1}),
        request("a webhook is no route", "POST", "/new-subscription"),
    ),
    *page(
        "Declare Request Example Data",
        "openapi",
        post_json("a route with examples", "/items/", {"name": "Foo", "price": 3}),
        post_json("a route with examples, wrong", "/items/", {"name": "Foo", "price": 0}),
    ),
    *page(
        "Separate OpenAPI Schemas for Input and Output or Not",
        "openapi:merged",
        get("not separate", "/api/v1/openapi.json"),
        get("docs at another URL", "/documentation"),
        get("no ReDoc", "/redoc"),
        get("no schema at the usual URL", "/openapi.json"),
    ),
    *page(
        "Custom Docs UI, Extending OpenAPI",
        "openapi:own",
        get("an own Swagger UI", "/docs"),
        get("an own redirect", "/oauth2-redirect"),
        get("an own ReDoc", "/redoc"),
        get("an extended schema", "/openapi.json"),
    ),
    *page(
        "Conditional OpenAPI",
        "openapi:silent",
        get("switched off", "/openapi.json"),
        get("switched off, the docs too", "/docs"),
        get("switched off, routes stay", "/"),
    ),
    *(
        page("OpenAPI of every app", app, get(f"the schema of {app}", "/openapi.json"))[0]
        for app in (
            "path_params",
            "path_params_numeric",
            "query_params",
            "query_params_str",
            "query_param_models",
            "body",
            "body_multiple",
            "body_nested",
            "extra_data_types",
            "cookie_params",
            "header_params",
            "response_model",
            "extra_models",
            "status_codes",
            "forms",
            "files",
            "handling_errors",
            "dependencies",
            "dependencies_yield",
            "security",
            "middleware",
            "custom_response",
            "streams",
        )
    ),
)
