import { EXIT_FAILURE, EXIT_OK, parseIdentity } from '@msi-proxy/shared';
import { COMMON_EXIT_CODES, defineProgram } from '@msi-proxy/shared/command-line';
import { PROXY_CONFIGURATION, PROXY_SETTINGS } from './config.ts';

const IDENTITY = {
  expectation: 'an identity as in the labels: "system", a client id, "object:<id>" or a resource id',
  parse: parseIdentity,
};

const { listen, imdsAddress, controlSocket, route, policy, requireIdentity } = PROXY_SETTINGS;

/** Those that `check` reads. */
export const CHECK_SETTINGS = { listen, imdsAddress, controlSocket, route, policy, requireIdentity };

/** The command line of the proxy; parsing, help, completion and docs/commands.md come from here. */
export const PROXY_PROGRAM = defineProgram({
  name: 'msi-proxy',
  summary: 'relays instance metadata and managed-identity requests of containers, by policy',
  description: [
    'Runs in a container with the label MSIProxyContainer, which alone talks to Azure’s Instance Metadata Service (IMDS). Who may have what is told by the monitor, from the labels of the containers.',
  ],
  defaultCommand: 'serve',
  configuration: PROXY_CONFIGURATION,
  commands: {
    serve: {
      summary: 'serve containers',
      description: [
        'SIGTERM and SIGINT end it once the requests under way are answered; a second one ends it at once. SIGHUP makes it read its settings file again.',
      ],
      settings: PROXY_SETTINGS,
    },
    control: {
      summary: 'join a monitor, on standard input and output, to the server in this container',
      description: ['The monitor runs it by `docker exec`.'],
      settings: { controlSocket },
    },
    healthcheck: {
      summary: 'tell by the exit code whether the server in this container is well',
      exitCodes: { [EXIT_OK]: 'it is ready', [EXIT_FAILURE]: 'it is not, or does not answer' },
      settings: { listen },
    },
    check: {
      summary: 'look whether the proxy has what it needs: its route, IMDS, its own server',
      description: ['`msi-monitor doctor` runs it by `docker exec`.'],
      options: { json: { summary: 'as JSON, for programs, with the callers that the server knows' } },
      exitCodes: { [EXIT_FAILURE]: 'something is missing; it is named' },
      settings: CHECK_SETTINGS,
    },
    tokens: {
      summary: 'list the tokens that the server in this container keeps, never the tokens themselves',
      options: { json: { summary: 'as JSON, for programs' } },
      settings: { controlSocket },
      examples: [
        { command: 'docker exec msi-proxy msi-proxy tokens', meaning: 'what is kept, for whom, until when' },
      ],
    },
    'tokens flush': {
      summary: 'drop kept tokens, so that IMDS is asked again',
      options: { identity: { summary: 'only those of one identity', value: IDENTITY } },
      settings: { controlSocket },
      examples: [
        {
          command: 'docker exec msi-proxy msi-proxy tokens flush --identity system',
          meaning: 'after an identity was taken away from the VM',
        },
      ],
    },
  },
  exitCodes: COMMON_EXIT_CODES,
  examples: [
    {
      command:
        'docker run -d --name msi-proxy --restart always --label MSIProxyContainer --cap-add NET_ADMIN --network msi-proxy-net --log-opt max-size=10m --log-opt max-file=5 msi-proxy/proxy',
      meaning: 'run the proxy',
    },
  ],
});
