"""Path Parameters and Numeric Validations."""

from ..case import get, page

CASES = page(
    "Path Parameters and Numeric Validations",
    "path_params_numeric",
    get("at the lower bound", "/ge/1"),
    get("under the lower bound", "/ge/0"),
    get("a bound is not looked at when the type is wrong", "/ge/x"),
    get("gt excludes its bound", "/gt-le/0"),
    get("le includes its bound", "/gt-le/1000?q=a"),
    get("above le", "/gt-le/1001"),
    get("far above le, wider than 64 bits", "/gt-le/99999999999999999999"),
    get("lt of a float and a bounded query", "/lt/10.4?size=3.5"),
    get("two bounds broken at once, both reported", "/lt/10.5?size=0"),
    get("a missing query beside a good path", "/lt/1"),
    get("a multiple", "/multiple/9"),
    get("not a multiple", "/multiple/10"),
    get("a multiple of a fraction", "/fractions/0.75"),
    get("not a multiple of a fraction", "/fractions/0.8"),
    get("infinity where only finite numbers go", "/finite/inf"),
    get("nan where only finite numbers go", "/finite/nan"),
    get("parameters in the older style", "/default-style/10?item-query=q"),
    get("parameters in the older style, both wrong", "/default-style/11"),
)
