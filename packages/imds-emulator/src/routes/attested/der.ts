/** As much of ASN.1's distinguished encoding as an attested document needs. */

export function sequence(...parts: readonly Buffer[]): Buffer {
  return element(0x30, Buffer.concat(parts));
}

export function set(...parts: readonly Buffer[]): Buffer {
  return element(0x31, Buffer.concat(parts));
}

/** An explicitly tagged part: `[0]`. */
export function explicit(tag: number, part: Buffer): Buffer {
  return element(0xa0 | tag, part);
}

export function octetString(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

export function smallInteger(value: number): Buffer {
  return element(0x02, Buffer.of(value));
}

/** An object identifier in its encoded form, without tag and length. */
export function objectIdentifier(encodedHex: string): Buffer {
  return element(0x06, Buffer.from(encodedHex, 'hex'));
}

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag), lengthOf(content), content]);
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const digits = length.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex');
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}
