import { isIPv4 } from 'node:net';
import { NotSimulated } from '../commands/program.ts';
import { POLICY_STORES, type AddressState, type IpAddress, type PolicyStore } from '../machine/ip-stack.ts';
import { WindowsError } from '../machine/windows-error.ts';
import { cimCmdlet, NonTerminating, requireRights, type Cmdlet } from './cmdlet.ts';
import type { BoundParameters } from './parameters.ts';
import { Enumeration, PsObject, type Value } from './values.ts';

const FAMILIES = ['IPv4', 'IPv6'] as const;
const ADDRESS_STATES: readonly AddressState[] = [
  'Invalid',
  'Tentative',
  'Duplicate',
  'Deprecated',
  'Preferred',
];

/** Cmdlets of the modules NetTCPIP (learn.microsoft.com), with the parameters that are simulated. */
export const NETWORK_CMDLETS: readonly Cmdlet[] = [
  cimCmdlet({
    name: 'Get-NetIPAddress',
    parameters: {
      AddressFamily: { type: FAMILIES },
      IPAddress: { type: 'text' },
      InterfaceIndex: { type: 'integer' },
      PolicyStore: { type: POLICY_STORES },
    },
    run: (parameters, { machine }) => {
      assertIpv4(parameters);
      // Without a store, the active one is shown.
      const store = parameters.text('PolicyStore') ?? 'ActiveStore';
      const found = machine.ip
        .addresses()
        .filter(
          entry =>
            entry.store === store &&
            matches(parameters.text('IPAddress'), entry.address) &&
            matches(parameters.integer('InterfaceIndex'), entry.interfaceIndex),
        );
      if (found.length === 0) throw notFound('Get-NetIPAddress', 'MSFT_NetIPAddress');
      return found.map(addressObject);
    },
  }),
  cimCmdlet({
    name: 'New-NetIPAddress',
    parameters: {
      InterfaceIndex: { type: 'integer', mandatory: true },
      IPAddress: { type: 'text', mandatory: true },
      PrefixLength: { type: 'integer' },
      SkipAsSource: { type: 'boolean' },
      AddressFamily: { type: FAMILIES },
      PolicyStore: { type: POLICY_STORES },
    },
    run: async (parameters, context) => {
      assertIpv4(parameters);
      requireRights(context);
      const address = parameters.text('IPAddress')!;
      if (!isIPv4(address)) throw new WindowsError(87);
      const added = await context.machine.ip.add({
        interfaceIndex: parameters.integer('InterfaceIndex')!,
        address,
        prefixLength: parameters.integer('PrefixLength') ?? 32,
        skipAsSource: parameters.isOn('SkipAsSource'),
        stores: storesOf(parameters),
      });
      return added.map(addressObject);
    },
  }),
  cimCmdlet({
    name: 'Remove-NetIPAddress',
    parameters: {
      IPAddress: { type: 'text', mandatory: true },
      PolicyStore: { type: POLICY_STORES },
      Confirm: { type: 'switch' },
    },
    run: async (parameters, context) => {
      assertNotInteractive(parameters);
      const address = parameters.text('IPAddress')!;
      const { ip } = context.machine;
      const stores = storesOf(parameters).filter(store =>
        ip.addresses().some(entry => entry.store === store && entry.address === address),
      );
      if (stores.length === 0) throw notFound('Remove-NetIPAddress', 'MSFT_NetIPAddress');
      requireRights(context);
      for (const store of stores) await ip.remove(address, store);
      return [];
    },
  }),
  cimCmdlet({
    name: 'Get-NetIPInterface',
    parameters: {
      AddressFamily: { type: FAMILIES },
      InterfaceIndex: { type: 'integer' },
      PolicyStore: { type: ['ActiveStore'] },
    },
    run: (parameters, { machine }) => {
      assertIpv4(parameters);
      const found = machine.ip
        .interfaces()
        .filter(({ index }) => matches(parameters.integer('InterfaceIndex'), index));
      if (found.length === 0) throw notFound('Get-NetIPInterface', 'MSFT_NetIPInterface');
      return found.map(
        ({ index, alias, dadTransmits }) =>
          new PsObject('Microsoft.Management.Infrastructure.CimInstance#MSFT_NetIPInterface', {
            InterfaceIndex: index,
            InterfaceAlias: alias,
            DadTransmits: dadTransmits,
          }),
      );
    },
  }),
  cimCmdlet({
    name: 'Set-NetIPInterface',
    parameters: {
      AddressFamily: { type: FAMILIES },
      InterfaceIndex: { type: 'integer', mandatory: true },
      DadTransmits: { type: 'integer', mandatory: true },
      PolicyStore: { type: ['ActiveStore'], mandatory: true },
    },
    run: (parameters, context) => {
      assertIpv4(parameters);
      const { ip } = context.machine;
      const index = parameters.integer('InterfaceIndex')!;
      if (!ip.interfaces().some(known => known.index === index)) {
        throw notFound('Set-NetIPInterface', 'MSFT_NetIPInterface');
      }
      requireRights(context);
      ip.setDadTransmits(index, parameters.integer('DadTransmits')!);
      return [];
    },
  }),
  cimCmdlet({
    name: 'Get-NetTCPConnection',
    parameters: { State: { type: ['Listen', 'Established'] }, LocalPort: { type: 'integer' } },
    run: (parameters, { machine }) => {
      const state = { Listen: 'listening', Established: 'established' }[parameters.text('State') ?? ''];
      const found = machine.linux
        .tcpEndpoints()
        .map(endpoint => ({ ...endpoint, place: endpoint.local.split(':') }))
        .filter(
          endpoint =>
            matches(state, endpoint.state) &&
            matches(parameters.integer('LocalPort'), Number(endpoint.place[1])),
        );
      if (found.length === 0) throw notFound('Get-NetTCPConnection', 'MSFT_NetTCPConnection');
      return found.map(
        ({ place: [address = '', port = ''] }) =>
          new PsObject('Microsoft.Management.Infrastructure.CimInstance#MSFT_NetTCPConnection', {
            LocalAddress: address,
            LocalPort: Number(port),
          }),
      );
    },
  }),
];

function addressObject({
  interfaceIndex,
  address,
  prefixLength,
  skipAsSource,
  state,
  store,
}: IpAddress): Value {
  return new PsObject('Microsoft.Management.Infrastructure.CimInstance#MSFT_NetIPAddress', {
    IPAddress: address,
    InterfaceIndex: interfaceIndex,
    PrefixLength: prefixLength,
    AddressState: new Enumeration(state, ADDRESS_STATES.indexOf(state)),
    SkipAsSource: skipAsSource,
    PolicyStore: store,
  });
}

/** Without a store, both are written (learn.microsoft.com, "New-NetIPAddress"). */
function storesOf(parameters: BoundParameters): readonly PolicyStore[] {
  const store = POLICY_STORES.find(name => name === parameters.text('PolicyStore'));
  return store === undefined ? POLICY_STORES : [store];
}

function matches<T>(wanted: T | undefined, actual: T): boolean {
  return wanted === undefined || wanted === actual;
}

function notFound(cmdlet: string, className: string): NonTerminating {
  return new NonTerminating(
    `No matching ${className} objects found by CIM query. Verify query parameters and retry.`,
    `CmdletizationQuery_NotFound,${cmdlet}`,
  );
}

function assertIpv4(parameters: BoundParameters): void {
  if (parameters.text('AddressFamily') === 'IPv6') throw new NotSimulated('IPv6');
}

/** `-NonInteractive`: a question that nobody can answer is an error. */
function assertNotInteractive(parameters: BoundParameters): void {
  if (parameters.value('Confirm') !== false) {
    throw new NonTerminating(
      'Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available.',
      'InvalidOperation,Remove-NetIPAddress',
    );
  }
}
