/** Azure's fixed metadata addresses and paths (learn.microsoft.com, "Azure Instance Metadata Service"). */
export const IMDS_ADDRESS = '169.254.169.254';
export const IMDS_PORT = 80;

/** WireServer: serves `/metadata` and the VM's extension settings too, so it is closed to containers alongside IMDS. */
export const WIRESERVER_ADDRESS = '168.63.129.16';
export const WIRESERVER_TCP_PORTS = [80, 32526] as const;

export const TOKEN_PATH = '/metadata/identity/oauth2/token';

/** Where the older VM extension has its tokens. */
export const VM_EXTENSION_PATH = '/oauth2/token';

/** Answered by the proxy itself. IMDS has no such path, so an answer proves that the proxy was reached. */
export const READY_PATH = '/.msi-proxy/ready';

/** Response header of every answer to {@link READY_PATH}: the proxy's instance id, as told in its `welcome`. */
export const INSTANCE_HEADER = 'X-MSI-Proxy-Instance';
