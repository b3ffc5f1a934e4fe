import { PROXY_LABEL, type ProxyStatus } from '@msi-proxy/shared';
import { failed, ok, warning, type Check, type Finding } from '../check.ts';

const START = `Start one: docker run -d --name msi-proxy --restart always --label ${PROXY_LABEL} --cap-add NET_ADMIN --network msi-proxy-net msi-proxy/proxy.`;

/** A proxy serves. */
export const proxyCheck: Check = {
  id: 'proxy',
  title: 'Proxy',
  about: 'always',
  needs: ['engine', 'monitor'],
  async run({ status }) {
    const { proxies, version } = await status();
    const serving = proxies.find(({ state }) => state === 'serving');
    if (serving === undefined) return nobodyServes(proxies);
    const unhealthy = proxies.filter(({ state }) => state === 'unhealthy');
    if (unhealthy.length > 0) {
      return warning(
        `${serving.name} serves, but ${unhealthy.map(describe).join('; ')}`,
        `Look at its log: docker logs ${unhealthy[0]?.name ?? ''}.`,
      );
    }
    if (serving.version !== undefined && serving.version !== version) {
      return warning(
        `${serving.name} serves with version ${serving.version}, the monitor is ${version}`,
        'Run proxy and monitor of the same version; replace the proxy as docs/operations.md says.',
      );
    }
    const standby = proxies.filter(({ state }) => state === 'standby').map(({ name }) => name);
    return ok(
      `${serving.name} serves at ${serving.address ?? 'an unknown address'}` +
        (standby.length === 0 ? '' : `; ${standby.join(', ')} would take over`),
    );
  },
};

function nobodyServes(proxies: readonly ProxyStatus[]): Finding {
  if (proxies.length === 0) return failed(`no container with the label ${PROXY_LABEL} runs`, START);
  const seen = `none serves: ${proxies.map(describe).join('; ')}`;
  const [first] = proxies;
  if (proxies.every(({ state }) => state === 'starting')) {
    return failed(seen, 'Wait a few seconds and ask again.');
  }
  return failed(seen, `Look at its log: docker logs ${first?.name ?? ''}.`);
}

function describe({ name, state, reason }: ProxyStatus): string {
  return `${name} is ${state}${reason === undefined ? '' : ` (${reason})`}`;
}
