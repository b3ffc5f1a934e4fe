import { EXIT_FAILURE, EXIT_OK, EXIT_WARNING, parseIdentity } from '@msi-proxy/shared';
import { COMMON_EXIT_CODES, defineProgram, textValue } from '@msi-proxy/shared/command-line';
import { MONITOR_CONFIGURATION, MONITOR_SETTINGS } from './config.ts';

const CONTAINER = textValue({ expectation: 'the name or id of a container', completedFrom: 'container' });

/** The command line of the monitor; parsing, help, completion and docs/commands.md come from here. */
export const MONITOR_PROGRAM = defineProgram({
  name: 'msi-monitor',
  summary: 'brings the metadata requests of labelled containers to the proxy',
  description: [
    'Follows Docker on this VM. A container with the label MSIClientContainer reaches the MSI proxy, which is itself a container with the label MSIProxyContainer, at the address that every Azure SDK asks: 169.254.169.254. All other containers are kept from Azure’s Instance Metadata Service (IMDS).',
  ],
  configuration: MONITOR_CONFIGURATION,
  commands: {
    run: {
      summary: 'follow Docker until stopped',
      description: [
        'Wiring and packet rules stay in place when it ends: nobody gets past the proxy. The proxy holds requests until the next monitor is there, for MSI_PROXY_HOLD_MS at most, and then answers 503.',
        'SIGTERM and SIGINT end it in order; a second one ends it at once. SIGHUP makes it read its settings file again.',
      ],
      settings: MONITOR_SETTINGS,
    },
    status: {
      summary: 'show what the running monitor knows',
      description: [
        'On a terminal what does not fit is cut, and states are coloured unless NO_COLOR is set; FORCE_COLOR gives colours elsewhere too.',
      ],
      options: {
        json: { summary: 'as JSON, for programs' },
        watch: {
          summary:
            'go on until Ctrl-C: on a terminal always the current status, elsewhere a line for each change; with --json a line of JSON for each',
          short: 'w',
        },
      },
      exitCodes: { [EXIT_FAILURE]: 'no monitor answers' },
      settings: { listen: MONITOR_SETTINGS.listen },
      examples: [
        {
          command: 'docker exec msi-monitor msi-monitor status',
          meaning: 'the status of a monitor in a container',
        },
      ],
    },
    doctor: {
      summary: 'look for what keeps containers from their tokens, and say what to do about it',
      description: [
        'Asks one thing after another: the Docker engine, rights and tools, the monitor, the proxy and its way to IMDS, the guard, Docker’s firewall; and, where a container is named, its labels, its network, its wiring, what the proxy knows of it, a real request from inside it, and what its policy says. Each answer is ok, warning, failed or skipped, with what was seen and the remedy. What rests on something that failed is skipped.',
        'Run it where the monitor runs: it has the rights to look there. It changes nothing. IMDS is asked by the proxy only.',
      ],
      arguments: {
        container: { summary: 'one that gets no token; all of the VM when it is left out', value: CONTAINER },
      },
      options: {
        resource: {
          summary: 'also say whether its policy lets it have a token for this resource',
          value: textValue({ expectation: 'a token audience such as "https://vault.azure.net"' }),
        },
        identity: {
          summary: 'the identity that it names when it asks',
          value: {
            expectation:
              'an identity as in the labels: "system", a client id, "object:<id>" or a resource id',
            parse: parseIdentity,
          },
        },
        json: { summary: 'as JSON, for programs' },
      },
      exitCodes: {
        [EXIT_OK]: 'nothing is wrong',
        [EXIT_FAILURE]: 'something failed',
        [EXIT_WARNING]: 'nothing failed, but there are warnings',
      },
      settings: MONITOR_SETTINGS,
      examples: [
        { command: 'docker exec msi-monitor msi-monitor doctor', meaning: 'is all well on this VM' },
        {
          command: 'docker exec msi-monitor msi-monitor doctor web --resource https://vault.azure.net',
          meaning: 'why does the container web get no token for Key Vault',
        },
      ],
    },
    explain: {
      summary: 'say in plain words what the labels of a container give it',
      description: [
        'Which identity it has by default and which others it may name, for which resources, on which endpoints, what is refused and how that is answered, who shares its network, and which label would change it. Also for a container without the label. Needs only the Docker engine.',
      ],
      arguments: { container: { summary: 'one that runs', value: CONTAINER, required: true } },
      exitCodes: { [EXIT_FAILURE]: 'no such container runs, or the engine cannot be asked' },
      settings: MONITOR_SETTINGS,
      examples: [
        {
          command: 'docker exec msi-monitor msi-monitor explain orders',
          meaning: 'what may the container orders have',
        },
      ],
    },
    unwire: {
      summary: 'take the wiring of a container away, or everything with the rules of the VM',
      description: [
        'Works without a running monitor. One that runs would wire again: stop it first, or take the label away.',
      ],
      arguments: { container: { summary: 'a client', value: CONTAINER } },
      options: {
        all: {
          summary:
            'of all containers, with the packet rules of the VM: nothing of the monitor keeps containers from IMDS then',
        },
      },
      exactlyOneOf: ['container', 'all'],
      exitCodes: { [EXIT_FAILURE]: 'something could not be removed; it is named' },
      settings: MONITOR_SETTINGS,
    },
    probe: {
      summary: 'ask whoever answers at 169.254.169.254 here whether it is a proxy',
      description: ['Prints the answer, or why there is none, as JSON. The monitor runs it inside clients.'],
      exitCodes: { [EXIT_OK]: 'asked, also when there was no answer' },
    },
  },
  exitCodes: COMMON_EXIT_CODES,
  examples: [
    {
      command:
        'docker run -d --name msi-monitor --restart always --network host --pid host --cap-add NET_ADMIN --log-opt max-size=10m --log-opt max-file=5 -v /var/run:/host/run -e DOCKER_HOST=unix:///host/run/docker.sock msi-proxy/monitor',
      meaning: 'run the monitor as a container',
    },
    {
      command: 'docker exec msi-monitor msi-monitor status',
      meaning: 'see who is served, and who is not and why',
    },
    { command: 'source <(msi-monitor completion bash)', meaning: 'complete command lines in bash' },
  ],
});
