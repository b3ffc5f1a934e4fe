import { IMDS_ADDRESS, type ProxyStatus, type WiringMethodName } from '@msi-proxy/shared';
import { parseTargetElement, TARGET_MAP, VM_TABLE } from '../../guard/vm-table.ts';
import { Nft } from '../../nft/nft.ts';
import { missingVmAccess } from '../../vm-access.ts';
import { LINK_NETWORK } from '../../wiring/attach/link-network.ts';
import { CLIENT_TABLE } from '../../wiring/client-table.ts';
import { hasImdsRoute } from '../../wiring/client-route.ts';
import { failed, ok, skipped, type Check, type Finding } from '../check.ts';
import type { Facts } from '../facts.ts';

const MEND =
  'The monitor mends it within ten seconds: ask again. If it comes back, another program changes the packet rules.';

/** What the wiring method rests on is there, looked at directly. */
export const rulesCheck: Check = {
  id: 'rules',
  title: 'Packet rules',
  about: 'container',
  needs: ['wiring'],
  async run(facts) {
    const client = await facts.client();
    const proxy = await facts.servingProxy();
    const status = await facts.status();
    const method = status.clients.find(({ containerId }) => containerId === client?.container.id)?.method;
    if (method === undefined || proxy === undefined || client?.plan.kind !== 'wire') {
      return skipped('it is not wired');
    }
    return await LOOKS[method](facts, proxy);
  },
};

const LOOKS: Readonly<Record<WiringMethodName, (facts: Facts, proxy: ProxyStatus) => Promise<Finding>>> = {
  host: async (facts, proxy) => {
    const missing = missingVmAccess(facts.readText);
    if (missing !== undefined) return skipped(missing);
    const table = await new Nft(facts.runner).read(VM_TABLE);
    const [target] = (table?.elements.get(TARGET_MAP) ?? []).map(parseTargetElement);
    if (target === undefined)
      return failed(`the map ${TARGET_MAP} of the table ip ${VM_TABLE} leads nowhere`, MEND);
    const where = `${target.address}:${target.port}`;
    if (target.address !== proxy.address)
      return failed(`requests are sent to ${where}, which is not the proxy`, MEND);
    return ok(`requests for ${IMDS_ADDRESS} are sent to ${where}`);
  },
  nat: async facts => {
    const client = await facts.client();
    if (client?.plan.kind !== 'wire') return skipped('it is not wired');
    const { runner, programsFrom } = await facts.namespaces.enter(client.plan.namespace);
    if (programsFrom === 'container') return skipped('its namespace cannot be entered from here');
    if ((await new Nft(runner).read(CLIENT_TABLE)) === undefined) {
      return failed(`the table ip ${CLIENT_TABLE} is missing in its namespace`, MEND);
    }
    if (!(await hasImdsRoute(runner))) return failed(`it has no route to ${IMDS_ADDRESS}`, MEND);
    return ok(`the table ip ${CLIENT_TABLE} and a route are in its namespace`);
  },
  attach: async (facts, proxy) => {
    const network = await facts.engine.inspectNetwork(LINK_NETWORK);
    const { id = '' } = (await facts.container()) ?? {};
    if (network?.containers[proxy.containerId]?.address !== IMDS_ADDRESS) {
      return failed(`the proxy does not have the address ${IMDS_ADDRESS} on ${LINK_NETWORK}`, MEND);
    }
    const address = network.containers[id]?.address;
    if (address === undefined) return failed(`it is not on the network ${LINK_NETWORK}`, MEND);
    return ok(`it has ${address} on ${LINK_NETWORK}, the proxy ${IMDS_ADDRESS}`);
  },
  portproxy: () =>
    Promise.resolve(skipped('they are inside the container; the monitor reads them back itself')),
};
