import type { EngineState, FakeContainer, FakeNetwork } from './engine-state.ts';
import { isUp } from './engine-state.ts';

/** `GET /containers/{id}/json`. Since API 1.52 without the address fields from before there were networks. */
export function containerJson(
  container: FakeContainer,
  state: EngineState,
  { legacyFields }: { legacyFields: boolean },
): unknown {
  const { id, name, image, platform, labels, networkMode, startedAt, pid, endpoints, endpointIds } =
    container;
  const first = [...endpoints.values()][0] ?? '';
  return {
    Id: id,
    Name: `/${name}`,
    Platform: platform,
    Image: 'sha256:0',
    State: {
      Status: container.state,
      Running: isUp(container),
      Paused: container.state === 'paused',
      StartedAt: startedAt,
      Pid: pid,
    },
    Config: { Image: image, Labels: labels },
    HostConfig: { NetworkMode: networkMode === 'bridge' ? 'default' : networkMode, Privileged: false },
    NetworkSettings: {
      SandboxKey: isUp(container) ? `/var/run/docker/netns/${id.slice(0, 12)}` : '',
      ...(legacyFields && { IPAddress: first, Gateway: '', Bridge: '' }),
      Networks: Object.fromEntries(
        [...endpoints].map(([networkId, address]) => {
          const network = state.network(networkId);
          const EndpointID = endpointIds.get(networkId) ?? '';
          return [
            network.name,
            { NetworkID: networkId, EndpointID, IPAddress: address, GlobalIPv6Address: '' },
          ];
        }),
      ),
    },
  };
}

export function containerSummaryJson(container: FakeContainer, state: EngineState): unknown {
  const { id, name, image, labels, networkMode, endpoints, endpointIds, askedAddresses } = container;
  const networks = [...endpoints].map(([networkId, address]) => {
    const asked = askedAddresses.get(networkId);
    const config = asked === undefined ? null : { IPv4Address: asked };
    return [
      // A container that does not run may be on a network that was removed.
      state.findNetwork(networkId)?.name ?? networkId,
      {
        NetworkID: networkId,
        EndpointID: endpointIds.get(networkId) ?? '',
        IPAddress: address,
        IPAMConfig: config,
      },
    ] as const;
  });
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image,
    Created: 1_767_225_600,
    State: container.state,
    Labels: labels,
    HostConfig: { NetworkMode: networkMode === 'bridge' ? 'default' : networkMode },
    NetworkSettings: { Networks: Object.fromEntries(networks) },
  };
}

/** @param withContainers as `GET /networks/{id}` answers and `GET /networks` does not */
export function networkJson(
  network: FakeNetwork,
  state: EngineState,
  { withContainers }: { withContainers: boolean },
): unknown {
  const { id, name, driver, internal, prefix, options } = network;
  const hasAddresses = driver !== 'host' && driver !== 'null';
  return {
    Id: id,
    Name: name,
    Driver: driver,
    Scope: 'local',
    Internal: internal,
    Options: options,
    Labels: {},
    IPAM: {
      Driver: 'default',
      Config: hasAddresses ? [{ Subnet: `${prefix}.0/24`, Gateway: `${prefix}.1` }] : [],
    },
    Containers: withContainers
      ? Object.fromEntries(
          [...state.endpointsOf(network)].map(([containerId, address]) => [
            containerId,
            { Name: state.container(containerId).name, IPv4Address: address === '' ? '' : `${address}/24` },
          ]),
        )
      : {},
  };
}
