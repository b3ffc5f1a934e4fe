import { IMDS_ADDRESS, IMDS_PORT, messageOf, READY_PATH } from '@msi-proxy/shared';
import { PROBE_TIMEOUT_MILLIS, readAnswerHead, type ProbeOutcome } from '../../wiring/probe.ts';
import { failed, ok, skipped, type Check, type Finding } from '../check.ts';
import type { Facts } from '../facts.ts';

const COMMAND_TIMEOUT_MILLIS = PROBE_TIMEOUT_MILLIS + 5_000;

const URL = `http://${IMDS_ADDRESS}:${IMDS_PORT}${READY_PATH}`;

/** What a container may have to ask with. Each prints the head of the answer. */
const CLIENT_TOOLS: readonly (readonly [string, ...string[]])[] = [
  ['curl', '--silent', '--show-error', '--noproxy', '*', '--max-time', '3', '--include', URL],
  ['wget', '-q', '-S', '-O', '-', '-T', '3', URL],
];

/** A real request from inside the container: what the program in it meets. */
export const requestCheck: Check = {
  id: 'request',
  title: 'A request from it',
  about: 'container',
  needs: ['client-label', 'network', 'sharers', 'proxy'],
  async run(facts) {
    const client = await facts.client();
    if (client?.plan.kind !== 'wire')
      return skipped('it is not wired, so that a request could go past the proxy');
    const { namespace } = client.plan;
    const instanceId = (await facts.servingProxy())?.instanceId;
    const entered = await facts.namespaces.enter(namespace).catch(() => undefined);
    if (entered?.programsFrom !== 'monitor')
      return await askByContainer(facts, namespace.containerId, instanceId);
    try {
      return judge(await facts.probe.ask(entered.runner), instanceId);
    } catch (error) {
      return skipped(`nothing could be asked from its namespace: ${messageOf(error)}`);
    }
  },
};

async function askByContainer(
  { engine }: Facts,
  containerId: string,
  instanceId: string | undefined,
): Promise<Finding> {
  for (const argv of CLIENT_TOOLS) {
    const { exitCode, stdout, stderr } = await engine.runExec(containerId, argv, {
      timeoutMillis: COMMAND_TIMEOUT_MILLIS,
    });
    if (exitCode === 126 || exitCode === 127) continue;
    const text = stdout + stderr;
    const outcome = readAnswerHead(text) ?? { failure: text.trim().slice(0, 200) || 'no answer' };
    return judge(outcome, instanceId);
  }
  return skipped('its namespace cannot be entered from here, and its image has neither curl nor wget');
}

function judge(outcome: ProbeOutcome, instanceId: string | undefined): Finding {
  const remedy =
    'See the findings above; if all of them are well, look at firewalls of the VM and inside the container.';
  if ('failure' in outcome) return failed(`no answer from ${IMDS_ADDRESS}: ${outcome.failure}`, remedy);
  if (outcome.instanceId === '') {
    return failed(`${IMDS_ADDRESS} answered with status ${outcome.status}, but not as a proxy`, remedy);
  }
  if (instanceId !== undefined && outcome.instanceId !== instanceId) {
    return failed('it was answered by another proxy than the serving one', 'Ask again in a moment.');
  }
  if (outcome.status !== 200) {
    return failed(
      `the proxy was reached, and answered with status ${outcome.status}: it does not serve this container`,
      remedy,
    );
  }
  return ok('the serving proxy was reached, and serves it');
}
