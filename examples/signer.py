"""Signs tokens with the active key of a mounted Signer Secret: pip install 'PyJWT[crypto]'."""
import json, logging, os, time
import jwt

MOUNTED = os.environ.get("KEYSET_DIR", "/var/run/keyset")
MAX_LIFETIME = 3600  # T, spec.tokens.maxLifetime: no token lives longer
active = (None, None)  # where the link ..data led to when the key was read, and the key

def sign(claims: dict, lifetime: int = 600) -> str:
    key, now = current(), int(time.time())
    claims = {**claims, "iat": now, "exp": now + min(lifetime, MAX_LIFETIME)}
    return jwt.encode(claims, key, algorithm=key.algorithm_name, headers={"kid": key.key_id})

# A kubelet swaps all files of a Secret at once, by leading the link ..data elsewhere. To look at it costs microseconds.
def current() -> jwt.PyJWK:
    global active
    known, key = active
    try:
        version = os.readlink(f"{MOUNTED}/..data")
        if version != known:
            with open(f"{MOUNTED}/{version}/private.jwk") as file:  # key, kid and alg in one: they belong together
                key = jwt.PyJWK(json.load(file))
            active = (version, key)
    except Exception as error:
        if key is None:
            raise
        logging.warning("the Signer Secret cannot be read, the key before signs on: %s", error)
    return key
