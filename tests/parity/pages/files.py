"""Request Files, and Request Forms and Files."""

from ...support.bodies import BOUNDARY, Upload, multipart_body
from ..case import flow, page, post_chunked, post_form, post_json, post_multipart, request, sent, sent_multipart

TEXT = Upload("a.txt", b"hello world")
BLOB = Upload("b.bin", bytes(range(256)) * 8, "application/octet-stream")
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
WHOLE = multipart_body([("file", TEXT)])
FIELDS = multipart_body([("name", "name-value"), ("numbers", "7")])


def multipart(name, target, body, content_type=TYPE):
    """A POST of exactly these bytes."""
    return request(name, "POST", target, headers={"content-type": content_type}, body=body)


CASES = (
    *page(
        "Request Files",
        "files",
        post_multipart("a file as bytes", "/bytes", [("file", BLOB)]),
        post_multipart("a file as an upload", "/upload", [("file", TEXT)]),
        post_multipart("a file in a def route", "/upload-sync", [("file", BLOB)]),
        post_multipart(
            "a file larger than its memory", "/upload", [("file", Upload("c", b"0123456789" * 200_000, None))]
        ),
        post_multipart("an empty file", "/upload", [("file", Upload("empty", b""))]),
        post_multipart("a file name outside ASCII", "/upload", [("file", Upload("naïve 😀.txt", b"x"))]),
        post_multipart("a file name with a path", "/upload", [("file", Upload("../../etc/passwd", b"x"))]),
        post_multipart(
            "no file chosen, as browsers send it", "/upload", [("file", Upload("", b"", "application/octet-stream"))]
        ),
        post_multipart(
            "no file chosen where it is optional", "/optional", [("file", Upload("", b"", "application/octet-stream"))]
        ),
        post_multipart("the file is missing", "/upload", [("other", "x")]),
        post_multipart("text where a file goes", "/upload", [("file", "text")]),
        post_multipart("text where bytes go", "/bytes", [("file", "text")]),
        post_json("JSON where a file goes", "/upload", {"file": "x"}),
        post_form("an urlencoded form where a file goes", "/upload", [("file", "x")]),
        request("no body where a file goes", "POST", "/upload"),
        request("no body where a file is optional", "POST", "/optional"),
        post_multipart("an optional file given", "/optional", [("file", TEXT)]),
        post_multipart("two files", "/many", [("files", TEXT), ("files", BLOB)]),
        post_multipart("one of many", "/many", [("files", TEXT)]),
        post_multipart("none of many", "/many", [("other", TEXT)]),
        post_multipart("one of two is text", "/many", [("files", TEXT), ("files", "x")]),
        post_multipart("many as bytes", "/many-bytes", [("files", TEXT), ("files", BLOB)]),
        post_multipart("read, seek, write", "/seek", [("file", TEXT)]),
        post_chunked("a chunked upload", "/upload", WHOLE[:20], WHOLE[20:21], WHOLE[21:], content_type=TYPE),
        multipart("no final boundary", "/upload", WHOLE[: -len(BOUNDARY) - 6]),
        multipart("no boundary in the type", "/upload", WHOLE, "multipart/form-data"),
        multipart("another boundary than the type says", "/upload", WHOLE, "multipart/form-data; boundary=other"),
        multipart("a quoted boundary", "/upload", WHOLE, f'multipart/form-data; boundary="{BOUNDARY}"'),
        multipart("garbage for a body", "/upload", b"garbage\r\n\r\n"),
        multipart("text before the first boundary", "/upload", b"preamble\r\n" + WHOLE),
        multipart("text after the last boundary", "/upload", WHOLE + b"epilogue"),
        multipart("a part without a name", "/upload", WHOLE.replace(b'; name="file"', b"")),
        multipart("a part without a disposition", "/upload", WHOLE.replace(b"content-disposition", b"x-disposition")),
        multipart("bare line feeds", "/upload", WHOLE.replace(b"\r\n", b"\n")),
        flow(
            "files are closed after the answer",
            *(
                sent_multipart("POST", target, [("file", TEXT)])
                for target in ("/keep", "/keep-sync", "/keep-and-refuse")
            ),
            sent("GET", "/kept"),
        ),
        flow(
            "files of dependencies are closed after them",
            # What comes after an answer may come after the next one's begin.
            sent_multipart("POST", "/in-dependency", [("file", TEXT)]),
            sent("GET", "/seen?last=out"),
            sent_multipart("POST", "/in-dependencies", [("file", TEXT), ("note", "n")]),
            sent_multipart("POST", "/in-dependencies", [("note", "n")]),
            sent("GET", "/seen?last=out"),
        ),
        flow(
            "files are open for who answers an exception",
            *(
                part
                for target in ("/refuse", "/refuse-def", "/refuse-later", "/refuse-with-request")
                for part in (sent_multipart("POST", target, [("file", TEXT)]), sent("GET", "/handled"))
            ),
            sent_multipart("POST", "/refuse-in-dependency", [("file", TEXT)]),
            sent("GET", "/seen?last=refused"),
        ),
        flow(
            "a task in the background finds the file open",
            sent_multipart("POST", "/in-background", [("file", TEXT)]),
            sent("GET", "/seen?last=background"),
        ),
        multipart("a charset in the type", "/upload", WHOLE, f"{TYPE}; charset=latin-1"),
        multipart("a charset that nobody knows", "/upload", WHOLE, f"{TYPE}; charset=nope"),
        multipart("the type in capitals", "/upload", WHOLE, f"Multipart/Form-Data; boundary={BOUNDARY}"),
        multipart("an extended file name", "/upload", WHOLE.replace(b"filename=", b"filename*=utf-8''x; filename=")),
        multipart("a file name that is no text", "/upload", WHOLE.replace(b"a.txt", b"\xff.txt")),
        *(
            multipart(f"a file name of {n} bytes", "/upload", WHOLE.replace(b"a.txt", b"n" * n))
            for n in (4000, 4120, 4200, 8000)
        ),
        multipart(
            "a file name that is extended alone", "/upload", WHOLE.replace(b"filename=", b"filename*=utf-8''x; x=")
        ),
        multipart(
            "whitespace after a boundary",
            "/upload",
            WHOLE.replace(f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY} \t\r\n".encode()),
        ),
        multipart("a folded field", "/upload", WHOLE.replace(b"content-type: ", b"content-type:\r\n ")),
        multipart(
            "nine fields in a part", "/upload", WHOLE.replace(b"content-type", b"x: y\r\n" * 9 + b"content-type")
        ),
        post_multipart("1001 files are too many", "/many", [("files", Upload("f", b"x"))] * 1001),
    ),
    *page(
        "Request Forms and Files",
        "files",
        post_multipart("two files and a field", "/mixed", [("file", BLOB), ("fileb", TEXT), ("token", "t")]),
        post_multipart("the field first", "/mixed", [("token", "t"), ("fileb", TEXT), ("file", BLOB)]),
        post_multipart("only the field", "/mixed", [("token", "t")]),
        post_multipart("only the files", "/mixed", [("file", BLOB), ("fileb", TEXT)]),
        post_form("none, urlencoded", "/mixed", [("token", "t")]),
        post_multipart("a model with a file", "/model", [("subject", "s"), ("file", TEXT)]),
        post_multipart("a model without its file", "/model", [("subject", "s")]),
        post_multipart("fields alone", "/fields", [("name", "n"), ("numbers", "1"), ("numbers", "2"), ("flag", "on")]),
        post_multipart("a field that is no number", "/fields", [("name", "n"), ("numbers", "x")]),
        post_multipart("a file where text goes", "/fields", [("name", TEXT), ("numbers", "1")]),
        post_multipart("a file that nobody asked for", "/fields", [("name", "n"), ("numbers", "1"), ("other", TEXT)]),
        post_multipart("a field left blank", "/fields", [("name", ""), ("numbers", "1"), ("flag", "")]),
        post_multipart("text outside ASCII", "/fields", [("name", "naïve 😀"), ("numbers", "1")]),
        multipart("text that is no UTF-8", "/fields", FIELDS.replace(b"name-value", b"\xe9\xff")),
    ),
)
