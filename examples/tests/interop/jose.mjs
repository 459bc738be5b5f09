// Reads a token of ours with jose, and makes others, good and bad ones.

import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { readFileSync } from "node:fs";

const job = JSON.parse(readFileSync(0, "utf8"));
const bytes = text => new TextEncoder().encode(text);
const key = bytes(job.key);
const now = Math.floor(Date.now() / 1000);

function token(claims = {}, issued = now, expires = now + 300) {
  return new SignJWT({ type: "websocket", ...claims }).setIssuedAt(issued).setExpirationTime(expires);
}

function hs256(jwt, header = {}) {
  return jwt.setProtectedHeader({ alg: "HS256", ...header }).sign(key);
}

const rsa = await generateKeyPair("RS256", { extractable: true });
const publicRsa = await exportJWK(rsa.publicKey);
const elliptic = await generateKeyPair("ES256", { extractable: true });

const good = {
  "as documented": await hs256(token(), { typ: "JWT" }),
  "without typ": await hs256(token()),
  "in minutes": await hs256(new SignJWT({ type: "websocket" }).setIssuedAt().setExpirationTime("5m")),
};
const bad = {
  "expired by a second": await hs256(token({}, now - 301, now - 1)),
  "not signed": new UnsecuredJWT({ type: "websocket" }).setIssuedAt(now).setExpirationTime(now + 300).encode(),
  "HS512": await token().setProtectedHeader({ alg: "HS512" }).sign(bytes(job.key.repeat(2))),
  "HS512 by the key itself": await token().setProtectedHeader({ alg: "HS512" }).sign(key),
  "RS256": await token().setProtectedHeader({ alg: "RS256" }).sign(rsa.privateKey),
  "RS256 with its public key": await token().setProtectedHeader({ alg: "RS256", jwk: publicRsa }).sign(rsa.privateKey),
  "ES256": await token().setProtectedHeader({ alg: "ES256" }).sign(elliptic.privateKey),
  "another key": await token().setProtectedHeader({ alg: "HS256" }).sign(bytes("another key, which is as long as this one")),
  "for longer than five minutes": await hs256(token({}, now, now + 3600)),
  "of another type": await hs256(token({ type: "refresh" })),
  "a nested token": await hs256(token(), { typ: "JWT", cty: "JWT" }),
  "another kind of token": await hs256(token(), { typ: "at+jwt" }),
};

const { payload, protectedHeader } = await jwtVerify(job.token, key, { algorithms: ["HS256"], requiredClaims: ["exp", "iat"] });
process.stdout.write(JSON.stringify({ header: protectedHeader, claims: payload, good, bad }));
