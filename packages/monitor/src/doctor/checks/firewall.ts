import { silentLogger } from '@msi-proxy/shared';
import { DockerUserRule } from '../../guard/docker-user-rule.ts';
import { missingVmAccess } from '../../vm-access.ts';
import { failed, ok, skipped, warning, type Check } from '../check.ts';
import { setsPacketRules } from './rights.ts';

/** How Docker filters, and whether redirected requests pass its isolation of networks from each other. */
export const firewallCheck: Check = {
  id: 'firewall',
  title: 'Docker’s firewall',
  about: 'always',
  needs: ['rights'],
  async run(facts) {
    const { settings, runner, status } = facts;
    if (!setsPacketRules(facts) || !['auto', 'host'].includes(settings.wiring)) {
      return skipped('only wiring by host passes it');
    }
    const missing = missingVmAccess(facts.readText);
    if (missing !== undefined) return skipped(missing);
    const rule = new DockerUserRule({ runner, logger: silentLogger });
    const programs = await rule.programs();
    if (programs === undefined) {
      return warning(
        'there is no chain DOCKER-USER: Docker does not filter with iptables here (another firewall backend, or --iptables=false)',
        'If clients on some networks do not reach the proxy, let forwarded packets with the conntrack mark DNAT and original destination 169.254.169.254 pass the firewall of the VM.',
      );
    }
    const differences = await rule.differences();
    if (differences.length === 0) return ok(`${programs}, with our rule at the top of DOCKER-USER`);
    const runs = await status().then(
      () => true,
      () => false,
    );
    return failed(
      differences.join('; '),
      runs ? 'The monitor mends it within ten seconds: ask again.' : 'Start the monitor.',
    );
  },
};
