import { failed, ok, skipped, type Check } from '../check.ts';
import { callersAt } from '../facts.ts';

const LATER = 'Ask again in a moment. If it stays so, restart the monitor: docker restart msi-monitor.';

/** The serving proxy knows whose its addresses are. */
export const callerCheck: Check = {
  id: 'caller',
  title: 'Known to the proxy',
  about: 'container',
  needs: ['wiring', 'proxy-server'],
  async run({ client, proxyCheck }) {
    const found = await client();
    if (found === undefined) return skipped('it is not a client');
    const { callers } = await proxyCheck();
    if (callers === undefined)
      return failed('the proxy does not tell whom it knows', 'See docker logs of the proxy.');
    const known = callersAt(callers, found.addresses);
    const unknown = found.addresses.filter(address => !known.some(caller => caller.address === address));
    if (unknown.length > 0) return failed(`not known there: ${unknown.join(', ')}`, LATER);
    const refused = known.find(({ grant }) => grant.kind !== 'client');
    if (refused !== undefined) {
      const { grant, address } = refused;
      const why = grant.kind === 'refused' ? grant.reason : 'as a container without the label';
      return failed(`${address} is refused there: ${why}`, 'Mend what the reason names.');
    }
    return ok(
      `${found.addresses.join(', ')} ${found.addresses.length === 1 ? 'is' : 'are'} this container’s there`,
    );
  },
};
