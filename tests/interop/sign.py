"""Runs examples/signer.py: a token for each line of the input, all by one process."""
import sys

import signer

for _ in sys.stdin:
    print(signer.sign({"sub": "alice"}), flush=True)
