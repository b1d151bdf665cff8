"""Response Status Code; Additional Status Codes; Response - Change Status Code."""

from ..case import flow, get, page, post_json, request, sent

CASES = (
    *page(
        "Response Status Code",
        "status_codes",
        request("a declared code", "POST", "/items/?name=a"),
        request("a declared code is not the code of an error", "POST", "/items/"),
        request("204 has no body", "DELETE", "/items/a"),
        request("204 drops what the handler returned", "DELETE", "/with-value/a"),
        get("205 has no body", "/reset"),
        get("304 has no body", "/unchanged"),
        get("a code without a name", "/odd"),
        get("418", "/teapot"),
        flow(
            "a connection goes on after 204 and 304",
            sent("DELETE", "/items/a"),
            sent("GET", "/unchanged"),
            sent("GET", "/teapot"),
        ),
    ),
    *page(
        "Additional Status Codes",
        "status_codes",
        post_json("the declared code", "/upsert/foo", {"value": "x"}, method="PUT"),
        post_json("the additional code", "/upsert/bar", {"value": "x"}, method="PUT"),
        post_json("neither, for a wrong body", "/upsert/bar", {}, method="PUT"),
    ),
    *page(
        "Response - Change Status Code",
        "status_codes",
        request("not changed", "PUT", "/change/foo"),
        request("changed", "PUT", "/change/bar"),
        get("changed to 204, the body is dropped", "/change-to-none"),
        get("changed by a dependency", "/by-dependency"),
        get("changed by a dependency to what the query says", "/by-dependency?code=418"),
        get("declared, then changed by a dependency", "/by-both?code=203"),
        get("the dependency's own parameter is wrong", "/by-both?code=x"),
    ),
)
