/** On every container of the demo, so that all can be found again. */
export const DEMO_LABEL = 'msi-proxy-demo';

/** Not `latest`: the demo must not replace, nor remove, images that somebody works with. */
export const DEMO_TAG = 'demo';

export const NAMES = {
  proxy: 'msi-demo-proxy',
  secondProxy: 'msi-demo-proxy-2',
  monitor: 'msi-demo-monitor',
  emulator: 'msi-demo-imds',
  /** May use one user-assigned identity, for Key Vault only. */
  orders: 'msi-demo-orders',
  /** May use the VM's system-assigned identity, for anything. */
  reports: 'msi-demo-reports',
  /** Carries no label. */
  unlabelled: 'msi-demo-unlabelled',
} as const;
