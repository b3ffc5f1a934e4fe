import { request } from 'node:http';
import {
  type Confirmed,
  type Logger,
  WITNESS_HEADER,
  type Witness,
  type WitnessedRun,
  WitnessQuestion,
} from '@msi-proxy/shared';
import type { CallerTable } from '../callers/caller-table.ts';

// The monitor is on this machine, which may be very busy: that is when it is asked this way.
const TIMEOUT_MILLIS = 3_000;
const MAX_ANSWER_BYTES = 2_048;

/**
 * Asks the monitor past the Docker engine which run of a container still has the address for certain.
 *
 * @returns undefined when it does not know, does not answer, or when something else answers
 */
async function askWitness(
  { address: host, port, key }: Witness,
  { address, logger }: { readonly address: string; readonly logger: Logger },
): Promise<WitnessedRun | undefined> {
  const question = WitnessQuestion.ask(key, address);
  try {
    const text = await get({ host, port, target: question.target, header: question.header });
    return text === undefined ? undefined : question.readAnswer(JSON.parse(text));
  } catch (err) {
    logger.debug('The monitor could not be asked past the engine', { err, address });
    return undefined;
  }
}

/**
 * Finds out past the engine whether the caller that is known at the address still has it.
 *
 * @param witness undefined where there is nobody to ask
 */
export async function confirmByWitness(
  witness: Witness | undefined,
  {
    address,
    table,
    logger,
  }: { readonly address: string; readonly table: CallerTable; readonly logger: Logger },
): Promise<Confirmed['result']> {
  const run = witness === undefined ? undefined : await askWitness(witness, { address, logger });
  const known = table.get(address)?.caller;
  const isSame = run?.containerId === known?.containerId && run?.startedAt === known?.startedAt;
  return known !== undefined && isSame ? { kind: 'caller', caller: known } : { kind: 'engine-unresponsive' };
}

interface Question {
  readonly host: string;
  readonly port: number;
  readonly target: string;
  readonly header: string;
}

/** @returns the body; undefined for any status but 200 */
async function get({ host, port, target, header }: Question): Promise<string | undefined> {
  const outcome = Promise.withResolvers<string | undefined>();
  const headers = { [WITNESS_HEADER]: header };
  const signal = AbortSignal.timeout(TIMEOUT_MILLIS);
  const sent = request({ host, port, path: target, headers, agent: false, signal }, response => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
      if (text.length <= MAX_ANSWER_BYTES) return;
      outcome.reject(new Error('The answer is too long'));
      sent.destroy();
    });
    response.on('error', outcome.reject);
    response.on('end', () => outcome.resolve(response.statusCode === 200 ? text : undefined));
  });
  sent.on('error', outcome.reject);
  sent.end();
  return await outcome.promise;
}
