"""Static Files; Templates; file responses with ranges; a frontend."""

from dataclasses import replace

from ..case import get, page, request


def ranged(name, value, **more):
    """A GET of 1,024 bytes with a Range."""
    return get(name, "/file", headers={"range": value, **more})


CASES = (
    *page(
        "Static Files",
        "static_and_templates",
        get("a file", "/static/style.css"),
        request("HEAD of a file", "HEAD", "/static/style.css"),
        request("POST to a file", "POST", "/static/style.css"),
        get("a file that is not there", "/static/nope.css"),
        get("a folder", "/static/sub"),
        get("the way out", "/static/../templates/item.html"),
        get("the way out, encoded", "/static/%2e%2e/templates/item.html"),
        get("the way out, doubly encoded", "/static/%252e%252e/templates/item.html"),
        get("a NUL in the name", "/static/a%00b"),
        get("a name too long", "/static/" + "a" * 300),
        get("a name outside ASCII", "/static/na%C3%AFve%20name.txt"),
        get("not modified since", "/static/style.css", headers={"if-modified-since": "Fri, 31 Dec 2199 23:59:59 GMT"}),
        get("modified since", "/static/style.css", headers={"if-modified-since": "Thu, 01 Jan 1970 00:00:01 GMT"}),
        get("another etag", "/static/style.css", headers={"if-none-match": '"x"'}),
        get("html: the index", "/html/"),
        get("html: a folder redirects", "/html/sub"),
        get("html: a folder", "/html/sub/"),
        get("html: the 404 page", "/html/nope"),
    ),
    *page(
        "Custom Response: FileResponse",
        "static_and_templates",
        get("the whole file", "/file"),
        request("HEAD of the file", "HEAD", "/file"),
        ranged("the first bytes", "bytes=0-9"),
        ranged("the last bytes", "bytes=-5"),
        ranged("from a byte on", "bytes=1000-"),
        ranged("one byte", "bytes=5-5"),
        ranged("past the end", "bytes=1000-5000"),
        ranged("all past the end", "bytes=5000-6000"),
        ranged("backwards", "bytes=9-5"),
        ranged("another unit", "lines=0-9"),
        ranged("nonsense", "bytes=x-y"),
        ranged("nothing", "bytes="),
        replace(ranged("two ranges", "bytes=0-3,10-13"), random_hex=True),
        ranged("two ranges that touch", "bytes=0-3,4-7"),
        ranged("another etag makes it whole", "bytes=0-9", **{"if-range": '"x"'}),
        get("a download by name", "/download"),
        get("a download by a name outside ASCII", "/download?name=na%C3%AFve%20%22q%22.bin"),
        get("a file that is lost", "/lost-file"),
    ),
    *page(
        "Templates",
        "static_and_templates",
        get("a template", "/items/42"),
        get("a template escapes", "/items/%3Cb%3E"),
        get("a template that is not there", "/missing-template"),
    ),
    *page(
        "Frontend",
        "static_and_templates:frontend",
        get("an API route goes first", "/api/ping"),
        get("a file of the build", "/style.css"),
        get("the index", "/"),
        get("a page that the build routes", "/some/page", headers={"accept": "text/html,*/*;q=0.8"}),
        get("a file that the build lacks", "/nope.css"),
        request("a POST to a file of the build", "POST", "/style.css"),
    ),
)
