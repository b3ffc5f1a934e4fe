/** The members of a token answer as IMDS gives it: every value is a text. The token is none that anybody accepts. */
const TOKEN_MEMBERS = {
  access_token: 'not-a-token',
  client_id: '00000000-0000-0000-0000-00000000000a',
  expires_in: '86317',
  expires_on: '1767311917',
  ext_expires_in: '86399',
  not_before: '1767225517',
  resource: 'https://vault.azure.net',
  token_type: 'Bearer',
};

/** A token answer as IMDS writes it. A value of `undefined` leaves the member out. */
export function tokenText(members: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ ...TOKEN_MEMBERS, ...members });
}

export interface Claims {
  readonly appid?: string;
  readonly oid?: string;
  readonly xms_mirid?: string;
}

/** A token in the form of Azure AD's. */
export function tokenWith(claims: Claims): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.not-signed`;
}
