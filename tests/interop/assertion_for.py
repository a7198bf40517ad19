"""Runs examples/assertion.py: for each line of the input, [client, server], the form that the client posts."""
import json, sys

from assertion import token_request

for line in sys.stdin:
    print(json.dumps(token_request(*json.loads(line))), flush=True)
