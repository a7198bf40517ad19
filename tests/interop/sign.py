"""Runs examples/signer.py: for each line of the input, [claims, seconds], a token, all by one process."""
import json, sys

import signer

for line in sys.stdin:
    print(signer.sign(*json.loads(line)), flush=True)
