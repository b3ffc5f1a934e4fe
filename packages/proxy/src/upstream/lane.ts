import type { EndpointGroup } from '@msi-proxy/shared';

/** Calls to IMDS that are limited, and paused, together. */
export type Lane = 'identity' | 'general' | 'scheduled-events';

export const LANES: readonly Lane[] = ['identity', 'general', 'scheduled-events'];

export function laneOf(group: EndpointGroup | 'versions'): Lane {
  switch (group) {
    case 'token':
    case 'identity-info':
    case 'credential':
      return 'identity';
    case 'scheduledevents':
    case 'scheduledevents-ack':
      return 'scheduled-events';
    case 'instance':
    case 'userdata':
    case 'loadbalancer':
    case 'attested':
    case 'versions':
      return 'general';
  }
}
