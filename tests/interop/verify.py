"""Verifies tokens with nothing but the URL of their set. Input: JSON lines {url, alg, token}; output: a line for each check."""
import json, sys, urllib.request

import jwt
from joserfc import jwk as joserfc_jwk, jwt as joserfc_jwt

for line in sys.stdin:
    case = json.loads(line)
    url, alg, token = case["url"], case["alg"], case["token"]
    if alg != "Ed25519":  # PyJWT knows RFC 8037's name of the algorithm only
        key = jwt.PyJWKClient(url).get_signing_key_from_jwt(token)
        assert jwt.decode(token, key, algorithms=[alg])["sub"] == "alice"
        print(alg, "PyJWT")
    with urllib.request.urlopen(url) as answer:
        keys = joserfc_jwk.KeySet.import_key_set(json.load(answer))
    assert joserfc_jwt.decode(token, keys, algorithms=[alg]).claims["sub"] == "alice"
    print(alg, "joserfc")
