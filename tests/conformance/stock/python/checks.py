"""What the stock clients tell: a line of JSON for each check. ../README.md lists the checks."""

import json


def got(check, value):
    print(json.dumps({"check": check, "got": value}), flush=True)


def cannot(check, reason):
    """What this client was not made for."""
    print(json.dumps({"check": check, "cannot": reason}), flush=True)
