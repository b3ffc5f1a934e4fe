/** By driver. Every engine for Windows makes a network `nat`, on which containers are that name none. */
export const DEFAULT_PROXY_NETWORK = { bridge: 'msi-proxy-net', nat: 'nat' } as const;
