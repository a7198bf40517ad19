"""Authenticates an OAuth client by a signed JWT (private_key_jwt); signer.py is beside it, with T as its MAX_LIFETIME."""
import uuid
from signer import sign

def token_request(client_id: str, server: str) -> dict:
    """What the client posts to the token endpoint of that authorization server."""
    claims = {"iss": client_id, "sub": client_id, "aud": server, "jti": str(uuid.uuid4())}
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": sign(claims, lifetime=60),
    }
