/** Tokens of an issuer of the tests. */

import { SignJWT, createLocalJWKSet, exportJWK, generateKeyPair, type JWTVerifyGetKey } from "jose";

export const ISSUER = "https://school.example/auth/v1";

export interface Issuer {
  keys: JWTVerifyGetKey;
  sign: (subject?: string, audience?: string, expires?: string) => Promise<string>;
}

export async function issuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" };
  return {
    keys: createLocalJWKSet({ keys: [jwk] }),
    sign: (subject = "schüler-42", audience = "authenticated", expires = "1h") =>
      new SignJWT({ tenant_id: "school-7" })
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .setSubject(subject)
        .setIssuer(ISSUER)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(privateKey),
  };
}
