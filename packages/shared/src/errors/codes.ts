/**
 * Every error code of the product: what it means and what to do about it. `docs/errors.md` is printed from this table.
 * Codes are stable and never used again for something else.
 *
 * `blame` tells who can mend it: the operator (settings, labels, rights), the environment (Docker, IMDS, the kernel),
 * or nobody but us (a bug).
 */
export const ERROR_CODES = {
  MSI_SETTINGS_INVALID: {
    blame: 'operator',
    meaning: 'One or more settings have values that cannot be used. All of them are listed.',
    remedy:
      'Correct the variables, flags or lines of the settings file named in the message; `--help` lists all settings. Exit code 78.',
  },
  MSI_USAGE: {
    blame: 'operator',
    meaning: 'The command line has an unknown command or option.',
    remedy: 'See `--help`. Exit code 64.',
  },
  MSI_CONTROL_PROTOCOL: {
    blame: 'bug',
    meaning: 'The other end of the control session sent something that is not part of the protocol.',
    remedy: 'Run monitor and proxy of the same version.',
  },
  MSI_CONTROL_UNAVAILABLE: {
    blame: 'environment',
    meaning: 'No control session to the proxy: its socket is absent or does not accept.',
    remedy: 'Check that the proxy container runs and see its log. The monitor tries again by itself.',
  },
  MSI_ROUTE_NO_CAPABILITY: {
    blame: 'operator',
    meaning: 'The proxy may not change routes in its network namespace.',
    remedy:
      'Start the proxy with `--cap-add NET_ADMIN`, or set MSI_PROXY_ROUTE=off if the route is already there.',
  },
  MSI_ROUTE_NO_GATEWAY: {
    blame: 'environment',
    meaning: 'The proxy has no default gateway through which IMDS could be reached.',
    remedy: 'Attach the proxy to a bridge network that is not internal; on Windows to a NAT network.',
  },
  MSI_ROUTE_NOT_EFFECTIVE: {
    blame: 'environment',
    meaning: 'The route was set, but reading it back shows something else.',
    remedy:
      'Look for another program that manages routes in the proxy container; on Windows check that it runs as ContainerAdministrator.',
  },
  MSI_LISTEN_FAILED: {
    blame: 'operator',
    meaning: 'The listening address is taken or not allowed.',
    remedy: 'Change the listen setting or stop what holds the address.',
  },
  MSI_SECOND_MONITOR: {
    blame: 'operator',
    meaning: "Another monitor of this VM runs already. Two would undo each other's work.",
    remedy:
      'Stop one of them. With another MSI_MONITOR_LISTEN neither would find the other, and both would run.',
  },
  MSI_PRIVILEGES_NOT_DROPPED: {
    blame: 'operator',
    meaning: 'The proxy could not change to its unprivileged user.',
    remedy:
      'Start the container as root (it drops its rights itself), or set MSI_PROXY_USER to the current user.',
  },
  MSI_UPSTREAM_FAILED: {
    blame: 'environment',
    meaning: 'IMDS did not answer, or its answer broke off.',
    remedy: 'Check the route in the proxy container and that the VM itself reaches IMDS.',
  },
  MSI_UPSTREAM_TIMEOUT: {
    blame: 'environment',
    meaning: 'IMDS did not answer within the time limit.',
    remedy: 'As for MSI_UPSTREAM_FAILED.',
  },
  MSI_UPSTREAM_TOO_LARGE: {
    blame: 'environment',
    meaning: 'An answer of IMDS is larger than the limit, and was not passed on.',
    remedy: 'No IMDS answer is that large; check what is behind the upstream address.',
  },
  MSI_UPSTREAM_UNUSABLE: {
    blame: 'environment',
    meaning: 'IMDS answered a token request with something that is not a usable token answer.',
    remedy:
      'Clients are answered 503 and try again. If it lasts, look at what is behind the upstream address and compare with an answer that the VM itself gets.',
  },
  MSI_UPSTREAM_WRONG_IDENTITY: {
    blame: 'environment',
    meaning: 'IMDS answered with the token of another identity than the one that was asked for.',
    remedy:
      'The token was given to nobody. Check which identities the VM has, and the identity labels of the container.',
  },
  MSI_CLIENT_LEFT: {
    blame: 'environment',
    meaning: 'The client closed its connection before it was answered.',
    remedy: 'None; see the duration in the audit line if it happens often.',
  },
  MSI_ENGINE_UNREACHABLE: {
    blame: 'environment',
    meaning: 'The Docker engine does not answer at DOCKER_HOST.',
    remedy: 'Check that the engine runs and that the folder of its socket is mounted into the monitor.',
  },
  MSI_ENGINE_FORBIDDEN: {
    blame: 'operator',
    meaning: 'The Docker socket is there, but the monitor may not use it.',
    remedy: 'Run the monitor as root or as a member of the group that owns the socket.',
  },
  MSI_ENGINE_TOO_OLD: {
    blame: 'operator',
    meaning: 'The Docker engine speaks only API versions that the monitor does not know.',
    remedy: 'Upgrade the engine to 20.10 (API 1.41) or later.',
  },
  MSI_ENGINE_UNRESPONSIVE: {
    blame: 'environment',
    meaning: 'The Docker engine accepts connections but does not answer in time.',
    remedy:
      'Nothing is lost: wiring stays as it is. Look at the load of the machine and the log of the engine.',
  },
  MSI_ENGINE_REQUEST: {
    blame: 'environment',
    meaning: 'The Docker engine answered a request with an error.',
    remedy: 'See the message of the engine; the monitor tries again by itself.',
  },
  MSI_WIRING_NO_CAPABILITY: {
    blame: 'operator',
    meaning: 'The monitor lacks a right or a tool that the wiring method needs.',
    remedy:
      'For `host`: `--network host --cap-add NET_ADMIN`. For `nat` also `--pid host --cap-add SYS_ADMIN --cap-add SYS_PTRACE`. Without any of them there is `attach`.',
  },
  MSI_WIRING_COMMAND: {
    blame: 'environment',
    meaning: 'A command that changes or reads packet rules or routes failed.',
    remedy: 'See the output in the log line; the monitor tries again by itself.',
  },
  MSI_WIRING_NOT_EFFECTIVE: {
    blame: 'environment',
    meaning:
      'The wiring was applied, but what is read back, or a request through it, shows that it does not hold.',
    remedy: 'Look for another program that changes packet rules. The monitor repairs it at each resync.',
  },
  MSI_WIRING_NOT_APPLICABLE: {
    blame: 'operator',
    meaning: 'No wiring method that is allowed fits this container.',
    remedy: 'The reason in the status names the obstacle; see MSI_MONITOR_WIRING.',
  },
  MSI_WIRING_DUPLICATE_ADDRESS: {
    blame: 'operator',
    meaning:
      "Windows found 169.254.169.254 in use by another machine or container on the client's network, and does not let the client have it.",
    remedy:
      'Find who owns it: another product that wires metadata addresses, or a container that was given the address by hand. Remove it there; the monitor tries again by itself.',
  },
  MSI_WIRING_SERVICE: {
    blame: 'environment',
    meaning:
      "The Windows service iphlpsvc (IP Helper), which forwards the client's connections, does not start.",
    remedy:
      'Run `sc query iphlpsvc` and `net start iphlpsvc` in the container as ContainerAdministrator and see what Windows says.',
  },
  MSI_WIRING_PROXY_UNREACHABLE: {
    blame: 'environment',
    meaning: "The proxy serves, but connections from the client's network do not reach it.",
    remedy:
      'Put client and proxy on the same network. On Windows this is the NAT network `nat` unless another one is named.',
  },
  MSI_NAMESPACE_GONE: {
    blame: 'environment',
    meaning: "The container's network namespace cannot be opened; usually the container has just stopped.",
    remedy:
      'None if the container stopped. Otherwise check `--pid host` and the capabilities of the monitor.',
  },
  MSI_STATUS_UNAVAILABLE: {
    blame: 'operator',
    meaning: 'No monitor answers at the status address.',
    remedy: 'Start the monitor, or set MSI_MONITOR_LISTEN as it is set there.',
  },
  MSI_CONTAINER_UNKNOWN: {
    blame: 'operator',
    meaning: 'A command was asked about a container that does not run.',
    remedy: 'See `docker ps` for the names of those that run.',
  },
  MSI_INTERNAL: {
    blame: 'bug',
    meaning: 'Something that should be impossible happened.',
    remedy: 'Please report it with the log line.',
  },
} as const satisfies Record<
  string,
  { blame: 'operator' | 'environment' | 'bug'; meaning: string; remedy: string }
>;

export type ErrorCode = keyof typeof ERROR_CODES;
