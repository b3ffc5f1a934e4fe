import type { Language } from './language.ts';

/** Characters of code page 850 beyond ASCII that the German texts use. */
const CODE_PAGE_850 = new Map([
  ['ü', 0x81],
  ['ä', 0x84],
  ['Ä', 0x8e],
  ['ö', 0x94],
  ['Ö', 0x99],
  ['Ü', 0x9a],
  ['ß', 0xe1],
]);

const QUESTION_MARK = 0x3f;

let shiftJis: ReadonlyMap<string, readonly number[]> | undefined;

/** Encodes what a console program prints: in the OEM code page of the language, never in UTF-8 (protocol.md 4.1). */
export function encodeOem(text: string, language: Language): Buffer {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code < 0x80) bytes.push(code);
    else if (language === 'ja')
      bytes.push(...((shiftJis ??= shiftJisTable()).get(character) ?? [QUESTION_MARK]));
    else bytes.push(CODE_PAGE_850.get(character) ?? QUESTION_MARK);
  }
  return Buffer.from(bytes);
}

/** Node only decodes code page 932: the table is what all pairs of bytes decode to. */
function shiftJisTable(): ReadonlyMap<string, readonly number[]> {
  const decoder = new TextDecoder('shift_jis');
  const table = new Map<string, readonly number[]>();
  for (let lead = 0x81; lead <= 0xfc; lead += 1) {
    for (let trail = 0x40; trail <= 0xfc; trail += 1) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      if (text.length === 1 && text !== '\ufffd' && !table.has(text)) table.set(text, [lead, trail]);
    }
  }
  for (let kana = 0xa1; kana <= 0xdf; kana += 1) table.set(decoder.decode(Uint8Array.of(kana)), [kana]);
  return table;
}
