"""Signs tokens with the active key of a mounted Signer Secret: pip install 'PyJWT[crypto]'."""
import json, os, time
import jwt

FILE = os.path.join(os.environ.get("KEYSET_DIR", "/var/run/keyset"), "private.jwk")
active = (None, None)  # when the file was written, and its key

def sign(claims: dict, lifetime: int = 600) -> str:  # lifetime: at most spec.tokens.maxLifetime
    global active
    written, key = active
    if written != (stamp := os.stat(FILE).st_mtime_ns):
        with open(FILE) as file:  # kid and key come from one file, so they belong together
            key = jwt.PyJWK(json.load(file))
        active = (stamp, key)
    now = int(time.time())
    claims = {"iat": now, "exp": now + lifetime, **claims}
    return jwt.encode(claims, key, algorithm=key.algorithm_name, headers={"kid": key.key_id})

if __name__ == "__main__":
    print(sign({"iss": "https://login.example.com", "sub": "alice"}))
