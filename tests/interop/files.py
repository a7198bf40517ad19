"""Reads private keys as files of a Signer Secret. Input: JSON lines {path, jwk}; output: the public half of each, as SPKI PEM in base64."""
import base64, json, sys

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

for line in sys.stdin:
    case = json.loads(line)
    with open(case["path"], "rb") as file:
        content = file.read()
    if case["jwk"]:
        jwk = json.loads(content)
        jwk["alg"] = jwk["alg"].replace("Ed25519", "EdDSA")  # PyJWT knows RFC 8037's name of the algorithm only
        key = jwt.PyJWK(jwk).key
    else:
        key = load_pem_private_key(content, None)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    print(base64.b64encode(pem).decode(), flush=True)
