/** The VM whose metadata the emulator serves. Plain data, as in the file that `IMDS_EMULATOR_VM` names. */
export interface VirtualMachine {
  readonly name: string;
  readonly vmId: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly zone: string;
  readonly size: string;
  readonly osType: 'Linux' | 'Windows';
  readonly tags: Readonly<Record<string, string>>;
  /** As plain text; IMDS gives it in Base64. */
  readonly userData: string;
  readonly systemAssignedIdentity: SystemAssignedIdentity | null;
  readonly userAssignedIdentities: readonly UserAssignedIdentity[];
  readonly interfaces: readonly NetworkInterface[];
  readonly loadBalancer: LoadBalancer | null;
  readonly scheduledEvents: readonly ScheduledEvent[];
}

export interface SystemAssignedIdentity {
  readonly clientId: string;
  readonly objectId: string;
}

export interface UserAssignedIdentity {
  readonly name: string;
  readonly clientId: string;
  readonly objectId: string;
  /** `/subscriptions/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>` */
  readonly resourceId: string;
}

export interface NetworkInterface {
  /** Twelve hexadecimal digits without separators, as IMDS gives it. */
  readonly macAddress: string;
  readonly privateIpAddress: string;
  /** Empty when there is none. */
  readonly publicIpAddress: string;
  readonly subnetAddress: string;
  readonly subnetPrefixLength: number;
}

export interface LoadBalancer {
  readonly publicIpAddresses: readonly AddressPair[];
  readonly inboundRules: readonly InboundRule[];
  readonly outboundRules: readonly AddressPair[];
}

export interface AddressPair {
  readonly frontendIpAddress: string;
  readonly privateIpAddress: string;
}

export interface InboundRule extends AddressPair {
  readonly protocol: 'tcp' | 'udp';
  readonly frontendPort: number;
  readonly backendPort: number;
}

export interface ScheduledEvent {
  readonly eventId: string;
  readonly eventType: 'Freeze' | 'Reboot' | 'Redeploy' | 'Preempt' | 'Terminate';
  readonly resources: readonly string[];
  readonly notBefore: string;
  readonly description: string;
  readonly eventSource: 'Platform' | 'User';
  readonly durationSeconds: number;
}

/** The VM's id in Azure Resource Manager. */
export function vmResourceId({ subscriptionId, resourceGroup, name }: VirtualMachine): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/virtualMachines/${name}`;
}
