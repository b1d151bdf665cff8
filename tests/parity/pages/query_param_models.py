"""Query Parameter Models."""

from ..case import get, page

CASES = page(
    "Query Parameter Models",
    "query_param_models",
    get("all defaults", "/items/"),
    get("all given", "/items/?limit=10&offset=5&order_by=updated_at&tags=a&tags=b"),
    get("all wrong", "/items/?limit=0&offset=-1&order_by=name"),
    get("one extra is ignored", "/items/?tool=plumbus"),
    get("one extra is forbidden", "/strict/?limit=10&tool=plumbus"),
    get("a repeated extra is forbidden as a list", "/strict/?tool=a&tool=b"),
    get("extras allowed", "/open/?known=1&other=2&other=3&third=x"),
    get("extras allowed, the known one missing", "/open/?other=2"),
    get("an aliased field", "/aliased/?pageSize=7"),
    get("an aliased field missing", "/aliased/?page_size=7"),
    get("a model validator accepts", "/checked/?low=1&high=2"),
    get("a model validator refuses", "/checked/?low=3&high=2"),
)
