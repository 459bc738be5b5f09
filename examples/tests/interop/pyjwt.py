"""Reads a token of ours with PyJWT, and makes others, good and bad ones."""

import base64
import hashlib
import hmac
import json
import sys
import time
import warnings

import jwt

# That a key of 32 bytes is short for HS512 is known.
warnings.simplefilter("ignore")

job = json.load(sys.stdin)
key = job["key"]
now = int(time.time())
fresh = {"type": "websocket", "iat": now, "exp": now + 300}


def without(name):
    return {claim: value for claim, value in fresh.items() if claim != name}


def hs256(claims, with_key=key, **headers):
    return jwt.encode(claims, with_key, algorithm="HS256", headers=headers)


def forged(header, claims=fresh, with_key=key):
    """Signed as HS256 is, whatever header and claims say."""

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(with_key.encode(), signed, hashlib.sha256).digest())).decode()


good = {
    "as documented": hs256(fresh),
    "for a minute": hs256({**fresh, "exp": now + 60}),
    "nearly over": hs256({**fresh, "iat": now - 280, "exp": now + 20}),
    "with claims that the document does not name": hs256({**fresh, "sub": "somebody", "role": "admin"}),
}
bad = {
    "expired by a second": hs256({**fresh, "iat": now - 301, "exp": now - 1}),
    "expired long ago": hs256({**fresh, "iat": now - 90_000, "exp": now - 89_700}),
    "not signed": jwt.encode(fresh, None, algorithm="none"),
    "HS384": jwt.encode(fresh, key, algorithm="HS384"),
    "HS512": jwt.encode(fresh, key, algorithm="HS512"),
    "RS256 in the header, the key as HS256 below it": forged({"alg": "RS256", "typ": "JWT"}),
    "ES256 in the header, the key as HS256 below it": forged({"alg": "ES256", "typ": "JWT"}),
    "none in the header, the key as HS256 below it": forged({"alg": "none", "typ": "JWT"}),
    "no algorithm in the header": forged({"typ": "JWT"}),
    "another key": hs256(fresh, "another key, which is as long as this one"),
    "the key with one letter less": hs256(fresh, key[:-1]),
    "an empty key": forged({"alg": "HS256", "typ": "JWT"}, with_key=""),
    "a key of its own, by kid": hs256(fresh, "x" * 40, kid="../../dev/null"),
    "a key of its own, by jwk": hs256(fresh, "x" * 40, jwk={"kty": "oct", "k": "eHh4"}),
    "a critical extension": hs256(fresh, crit=["exp"]),
    "for longer than five minutes": hs256({**fresh, "exp": now + 301}),
    "for ever": hs256(without("exp")),
    "from nowhere": hs256(without("iat")),
    "from the future": hs256({**fresh, "iat": now + 60, "exp": now + 120}),
    "not valid yet": hs256({**fresh, "nbf": now + 60}),
    "of no type": hs256(without("type")),
    "of another type": hs256({**fresh, "type": "refresh"}),
    "for somebody else": hs256({**fresh, "aud": "another service"}),
    "with its expiry in letters": forged({"alg": "HS256", "typ": "JWT"}, {**fresh, "exp": str(now + 300)}),
}

read = jwt.decode_complete(job["token"], key, algorithms=["HS256"], options={"require": ["exp", "iat"]})
json.dump({"header": read["header"], "claims": read["payload"], "good": good, "bad": bad}, sys.stdout)
