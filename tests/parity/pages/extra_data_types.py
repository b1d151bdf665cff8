"""Extra Data Types."""

from ..case import page, post_json

ID = "6b1c1e8a-8f6a-4a6e-9d40-3a2f1c0b7e11"
TIMES = {"start": "2018-12-22T14:00:00+00:00", "end": "2018-12-24T15:00:00+00:00", "process_after": 300}
GOOD = {
    "id": ID,
    "at": "2024-01-02T03:04:05Z",
    "day": "2024-01-02",
    "clock": "03:04:05.6",
    "span": "P1DT1.5S",
    "money": "10.00",
    "address": "127.0.0.1",
    "network": "2001:db8::/32",
    "path": "/a/b",
    "kinds": [3, 1, 3],
    "size": "1.5 KiB",
}
BAD = dict.fromkeys(GOOD, "x\u0000")

CASES = page(
    "Extra Data Types",
    "extra_data_types",
    post_json("datetimes and spans", f"/items/{ID}", {**TIMES, "repeat_at": "15:30:00"}, method="PUT"),
    post_json(
        "datetimes of no zone",
        f"/items/{ID}",
        {**TIMES, "start": "2018-12-22T14:00:00", "end": "2018-12-24T15:00:00"},
        method="PUT",
    ),
    post_json(
        "datetimes of two kinds do not subtract", f"/items/{ID}", {**TIMES, "end": "2018-12-24T15:00:00"}, method="PUT"
    ),
    post_json("all missing", f"/items/{ID}", {}, method="PUT"),
    post_json("all wrong", "/items/x", dict.fromkeys(TIMES, "x"), method="PUT"),
    post_json("every type through a model", "/model", GOOD),
    post_json("every type through the encoder", "/encoder", GOOD),
    post_json("every type wrong", "/model", BAD),
    post_json("every type of a wrong JSON type", "/model", {key: {} for key in GOOD}),
    post_json("leap second", "/model", {"clock": "23:59:60"}),
    post_json("midnight as 24:00", "/model", {"clock": "24:00"}),
    post_json("a negative span", "/encoder", {"span": "-PT1H"}),
    post_json("a span from a float", "/encoder", {"span": 1.25}),
    post_json("a year out of range", "/model", {"day": "10000-01-01"}),
    post_json("seconds out of range", "/model", {"at": 1e20}),
    post_json("a decimal of NaN", "/model", {"money": "NaN"}),
    post_json("a decimal from a long float", "/model", {"money": 0.1}),
)
