import { validateHeaderName, validateHeaderValue } from 'node:http';
import {
  choice,
  failure,
  isRecord,
  listOf,
  objectOf,
  recordOf,
  text,
  wholeNumber,
  type Decoded,
  type Decoder,
} from '../decode/decoder.ts';
import { CATEGORIES } from '../routes/endpoint.ts';
import type { Fault, FaultRule } from './fault-rule.ts';

const MAX_MILLIS = 600_000;
const millis = wholeNumber(0, MAX_MILLIS);
const byteCount = wholeNumber(0, 16_777_216);

type FaultName = Fault['fault'];
type RuleOf<Name extends FaultName> = Extract<FaultRule, { readonly fault: Name }>;

/** They say how the body is sent, which is not for a rule to say: every answer has its Content-Length. */
const FRAMING_HEADERS = ['content-length', 'transfer-encoding', 'trailer'];

const headers = recordOf(
  text('the value of a header', value => isTakenBy(() => validateHeaderValue('X-Any', value))),
  text(
    'the name of a header, other than Content-Length, Transfer-Encoding and Trailer',
    name => isTakenBy(() => validateHeaderName(name)) && !FRAMING_HEADERS.includes(name.toLowerCase()),
  ),
);

/** Fields that every rule may have. */
const common = {
  category: choice(CATEGORIES),
  pathPrefix: text('a path', value => value.startsWith('/')),
  delayMillis: millis,
  times: wholeNumber(1, 1_000_000),
  forMillis: millis,
};
const OPTIONAL_COMMON = ['category', 'pathPrefix', 'delayMillis', 'times', 'forMillis'] as const;

const decoders: { readonly [Name in FaultName]: Decoder<RuleOf<Name>> } = {
  delay: objectOf<RuleOf<'delay'>>({ fault: choice(['delay']), ...common }, {}, OPTIONAL_COMMON),
  status: objectOf<RuleOf<'status'>>(
    { fault: choice(['status']), status: wholeNumber(200, 599), body: text('a text'), headers, ...common },
    {},
    [...OPTIONAL_COMMON, 'body', 'headers'],
  ),
  hang: objectOf<RuleOf<'hang'>>({ fault: choice(['hang']), ...common }, {}, OPTIONAL_COMMON),
  reset: objectOf<RuleOf<'reset'>>(
    { fault: choice(['reset']), afterBytes: byteCount, ...common },
    { afterBytes: 0 },
    OPTIONAL_COMMON,
  ),
  truncate: objectOf<RuleOf<'truncate'>>(
    { fault: choice(['truncate']), bodyBytes: byteCount, ...common },
    {},
    [...OPTIONAL_COMMON, 'bodyBytes'],
  ),
  drip: objectOf<RuleOf<'drip'>>(
    { fault: choice(['drip']), bytesPerWrite: wholeNumber(1, 65_536), intervalMillis: millis, ...common },
    { bytesPerWrite: 1, intervalMillis: 10 },
    OPTIONAL_COMMON,
  ),
  'front-door-page': objectOf<RuleOf<'front-door-page'>>(
    { fault: choice(['front-door-page']), ...common },
    {},
    OPTIONAL_COMMON,
  ),
};

const rule: Decoder<FaultRule> = (value, path) => {
  const name: Decoded<FaultName> = choice(Object.keys(decoders) as FaultName[])(
    isRecord(value) ? value['fault'] : undefined,
    path === '' ? 'fault' : `${path}.fault`,
  );
  if (!name.ok) return isRecord(value) ? name : failure(path, value, 'an object');
  return decoders[name.value](value, path);
};

/** Reads a list of fault rules, or says everything that is wrong with it. */
export function parseFaultRules(document: unknown): Decoded<readonly FaultRule[]> {
  return listOf(rule)(document, '');
}

function isTakenBy(validate: () => void): boolean {
  try {
    validate();
    return true;
  } catch {
    return false;
  }
}
