"""The referee: one app, two servers, the same bytes in; status, headers and body must come out the same.

case.py      what is sent, as data
pages/       the cases, one module per page of FastAPI's documentation
apps/        the FastAPI apps that they are sent to, written for this
host.py      a child process that serves every app on a port of its own, under one server
compare.py   which differences count; which headers do not, and why; the known differences
referee.py   runs cases on both and judges
report.py    PARITY.md
"""
