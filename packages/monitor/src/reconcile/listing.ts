import { isDeepStrictEqual } from 'node:util';
import type { ContainerDetails, ContainerNetwork, ContainerSummary } from '../docker/index.ts';

/**
 * Whether a container that was read is in the same run, and on the same networks, as the engine's list shows it. The list
 * tells neither process nor time of start, but an engine makes a new endpoint, with an id of its own, each time that it connects a
 * container to a network, and it does so at each start (moby, `allocateNetwork` and `releaseNetwork`). Without an endpoint,
 * and on Windows, where that was not seen, the list does not suffice.
 */
export function isAsListed(container: ContainerDetails, listed: ContainerSummary): boolean {
  if (container.platform === 'windows' || container.networks.length === 0) return false;
  return (
    container.networks.every(({ endpointId }) => endpointId !== undefined) &&
    container.name === listed.name &&
    container.state === listed.state &&
    container.networkMode === listed.networkMode &&
    isDeepStrictEqual(container.labels, listed.labels) &&
    isDeepStrictEqual(sorted(container.networks), sorted(listed.networks))
  );
}

function sorted(networks: readonly ContainerNetwork[]): ContainerNetwork[] {
  return [...networks].sort((a, b) => (a.name < b.name ? -1 : 1));
}
