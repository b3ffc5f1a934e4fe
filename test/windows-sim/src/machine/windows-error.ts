import type { TextName } from '../language.ts';

/** Windows' own error numbers (winerror.h) that the modelled commands meet, and what is said for them. */
export const WINDOWS_ERRORS = {
  2: 'fileNotFound',
  5: 'accessDenied',
  87: 'badParameter',
  1058: 'serviceDisabled',
  1060: 'noService',
  1168: 'elementNotFound',
  5010: 'objectExists',
} as const satisfies Record<number, TextName>;

export type WindowsErrorNumber = keyof typeof WINDOWS_ERRORS;

/** Something that the simulated Windows refuses, as it would. */
export class WindowsError extends Error {
  override readonly name = 'WindowsError';
  readonly number: WindowsErrorNumber;

  constructor(number: WindowsErrorNumber) {
    super(`Windows error ${number}`);
    this.number = number;
  }

  get text(): TextName {
    return WINDOWS_ERRORS[this.number];
  }
}
