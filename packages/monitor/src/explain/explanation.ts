import {
  CLIENT_LABEL,
  DEFAULT_ENDPOINT_GROUPS,
  ENDPOINT_GROUPS,
  ENDPOINTS_LABEL,
  formatIdentity,
  formatResourcePattern,
  hasClientLabel,
  hasProxyLabel,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  printable,
  RESOURCES_LABEL,
  type ClientPolicy,
  type EndpointGroup,
  type GuardStatus,
  type IdentityRef,
} from '@msi-proxy/shared';
import { wrapText } from '@msi-proxy/shared/command-line';
import type { ContainerDetails } from '../docker/index.ts';
import type { DesiredClient } from '../reconcile/desired-state.ts';
import { printableLine } from '../terminal/printable-line.ts';
import type { Terminal } from '../terminal/terminal.ts';

export interface ExplanationFacts {
  readonly container: ContainerDetails;
  /** Absent for a container without the client label. */
  readonly plan?: DesiredClient['plan'];
  /** The other containers that have its addresses. */
  readonly sharers: readonly ContainerDetails[];
  /** `unknown`: no monitor tells. */
  readonly guard: GuardStatus['mode'] | 'unavailable' | 'not-in-place' | 'unknown';
  /** Whether requests of all containers are sent to the proxy (`host`), or only those of clients. */
  readonly redirects: boolean;
  readonly unlabelledSharers: 'refuse' | 'ignore';
}

export interface Paragraph {
  readonly title: string;
  readonly sentences: readonly string[];
}

/** What an endpoint group is about, in words that follow "may read". */
const GROUP_WORDS: Readonly<Record<EndpointGroup, string>> = {
  token: 'tokens of managed identities',
  'identity-info': 'which tenant the VM’s identities are of',
  instance: 'the VM’s own metadata (name, size, network, tags)',
  userdata: 'user data and custom data',
  loadbalancer: 'load balancer metadata',
  attested: 'attested documents',
  scheduledevents: 'scheduled events',
  'scheduledevents-ack': 'and acknowledge scheduled events, for all VMs they name',
  credential: 'credentials that are good for tokens of any resource',
};

/** What a container's labels give it, in plain words. */
export function explanation(facts: ExplanationFacts): Paragraph[] {
  const { container, plan } = facts;
  const about: Paragraph = {
    title: 'Container',
    sentences: [
      `${printable(container.name)} (${container.id.slice(0, 12)}), of the image ${printable(container.image)}.`,
    ],
  };
  if (plan?.kind === 'wire')
    return [about, ...policyParagraphs(plan.policy), ...sharersParagraph(facts), CHANGE];
  if (plan?.kind === 'refuse')
    return [about, refused(plan.reason, facts), ...sharersParagraph(facts), CHANGE];
  if (hasProxyLabel(container.labels)) return [about, proxy()];
  return [about, ...unlabelled(facts), ...sharersParagraph(facts), CHANGE];
}

/** As text for people, within the width of the terminal. */
export function formatExplanation(
  paragraphs: readonly Paragraph[],
  { paint, width }: Pick<Terminal, 'paint' | 'width'>,
): string {
  return paragraphs
    .map(({ title, sentences }) =>
      [
        paint(title, 'bold'),
        ...sentences.flatMap(each => wrapText(printableLine(each), width - 2).map(line => `  ${line}`)),
        '',
      ].join('\n'),
    )
    .join('\n');
}

const CHANGE: Paragraph = {
  title: 'To change it',
  sentences: [
    'Labels of a container cannot be changed: start it again with others. docs/policy.md has their grammar; msi-monitor doctor tells why it gets no token all the same.',
  ],
};

function proxy(): Paragraph {
  return {
    title: 'Role',
    sentences: [
      'It is a proxy: it talks to IMDS for the labelled containers, and its own requests are restricted by nothing.',
    ],
  };
}

function refused(reason: string, { redirects }: ExplanationFacts): Paragraph {
  return {
    title: 'Refused',
    sentences: [
      `It is labelled, but refused as a whole: ${reason}.`,
      redirects
        ? 'Whatever it asks for is answered with status 403 and this reason.'
        : 'It is not wired, so no proxy answers what it asks for.',
    ],
  };
}

function unlabelled({ container, guard, redirects }: ExplanationFacts): Paragraph[] {
  const label: Paragraph = {
    title: 'Label',
    sentences: [
      `It has no label ${CLIENT_LABEL}, so it is given nothing. With it and no other label it could use any identity of the VM; ${IDENTITY_LABEL} gives it one.`,
    ],
  };
  if (container.networkMode === 'host') {
    const sentences = [
      'It is on the network of the VM and reaches IMDS directly, as every process of the VM does. No label changes that.',
    ];
    return [label, { title: 'What happens when it asks', sentences }];
  }
  const sentences = guard === 'enforce' && !redirects ? REFUSED_BY_RULES : GUARD_WORDS[guard];
  return [label, { title: 'What happens when it asks', sentences }];
}

const NO_WAY = 'There is no way to IMDS past the proxy.';

const REFUSED_BY_RULES = [
  'The packet rules of the VM let none of its connections to IMDS come about, so that requests fail or time out.',
  NO_WAY,
];

const GUARD_WORDS: Readonly<Record<ExplanationFacts['guard'], readonly string[]>> = {
  enforce: [
    'Token requests are answered as on a VM without an identity (status 400, "Identity not found"), so that SDKs go on to their next credential. Other requests get status 403.',
    NO_WAY,
  ],
  audit: [
    'Nothing: the guard only counts (MSI_MONITOR_GUARD=audit), so it reaches IMDS directly and gets tokens of any identity of the VM.',
  ],
  off: [
    'Nothing stops it: the guard is off, so it reaches IMDS directly and gets tokens of any identity of the VM.',
  ],
  unavailable: ['There is no guard here, so it may reach IMDS directly where its network leads there.'],
  'not-in-place': [
    'It may reach IMDS directly: the guard is not in place now, and msi-monitor status tells why. It then gets tokens of any identity of the VM.',
  ],
  unknown: [
    'It may reach IMDS directly: no monitor answers at MSI_MONITOR_LISTEN, so it is not known whether the guard is in place.',
  ],
};

function policyParagraphs(policy: ClientPolicy): Paragraph[] {
  return [identityParagraph(policy), resourceParagraph(policy), endpointParagraph(policy)];
}

function identityParagraph({ defaultIdentity, identities }: ClientPolicy): Paragraph {
  const title = 'Identities';
  if (identities === 'any') {
    const first =
      defaultIdentity === undefined
        ? 'A request that names no identity is for whichever IMDS chooses.'
        : `A request that names no identity is for ${inWords(defaultIdentity)}.`;
    return {
      title,
      sentences: [
        first,
        `It may name any identity of the VM. To restrict it, set ${IDENTITY_LABEL}${defaultIdentity === undefined ? '' : ` without ${IDENTITIES_LABEL}=*`}.`,
      ],
    };
  }
  const others = identities.filter(identity => identity !== defaultIdentity).map(inWords);
  if (identities.length === 0) {
    return { title, sentences: ['None: those that share its network have no identity in common.'] };
  }
  return {
    title,
    sentences: [
      defaultIdentity === undefined
        ? `A request that names no identity is refused (403): there is no default one (${IDENTITY_LABEL}).`
        : `A request that names no identity is for ${inWords(defaultIdentity)}.`,
      others.length === 0 ? 'It may name no other.' : `It may also name ${others.join(', ')}.`,
      `Every other identity is refused (403). To allow more, list them in ${IDENTITIES_LABEL}.`,
    ],
  };
}

function resourceParagraph({ resources }: ClientPolicy): Paragraph {
  const title = 'Resources';
  if (resources === 'any') {
    return {
      title,
      sentences: [`It may have tokens for every resource. To restrict it, set ${RESOURCES_LABEL}.`],
    };
  }
  if (resources.length === 0) {
    return { title, sentences: ['None: those that share its network have no resource in common.'] };
  }
  return {
    title,
    sentences: [
      `It may have tokens for ${resources.map(formatResourcePattern).join(', ')}.`,
      `Tokens for others are refused (403). To allow more, list them in ${RESOURCES_LABEL}.`,
    ],
  };
}

function endpointParagraph({ endpoints }: ClientPolicy): Paragraph {
  const denied = ENDPOINT_GROUPS.filter(group => !endpoints.includes(group));
  const isDefault =
    endpoints.length === DEFAULT_ENDPOINT_GROUPS.length &&
    DEFAULT_ENDPOINT_GROUPS.every(group => endpoints.includes(group));
  return {
    title: 'Endpoints',
    sentences: [
      `It may read ${[...endpoints.map(group => GROUP_WORDS[group]), 'which API versions there are'].join('; ')}${isDefault ? ' (what every client may)' : ''}.`,
      ...(denied.length === 0
        ? []
        : [
            `Refused (403; 404 for credential): ${denied.join(', ')}. To allow more, list all that it may have in ${ENDPOINTS_LABEL}.`,
          ]),
    ],
  };
}

function sharersParagraph({ sharers, unlabelledSharers, container }: ExplanationFacts): Paragraph[] {
  if (sharers.length === 0 || container.networkMode === 'host') return [];
  const named = (list: readonly ContainerDetails[]) => list.map(({ name }) => printable(name)).join(', ');
  const labelled = sharers.filter(({ labels }) => hasClientLabel(labels));
  const strangers = sharers.filter(({ labels }) => !hasClientLabel(labels));
  return [
    {
      title: 'Who shares its network',
      sentences: [
        ...(labelled.length === 0
          ? []
          : [
              `${named(labelled)}: they cannot be told from it, so each has only what all of their labels allow, which is what is said here.`,
            ]),
        ...(strangers.length === 0
          ? []
          : [
              `${named(strangers)}, without the label: ${
                unlabelledSharers === 'ignore'
                  ? 'they use what it was given (MSI_MONITOR_UNLABELLED_SHARERS=ignore).'
                  : 'because of them a labelled container is refused there.'
              }`,
            ]),
      ],
    },
  ];
}

function inWords(identity: IdentityRef): string {
  switch (identity.kind) {
    case 'system':
      return 'the VM’s own (system-assigned) identity';
    case 'client-id':
      return `the identity with the client id ${formatIdentity(identity)}`;
    case 'object-id':
      return `the identity with the object id ${identity.id}`;
    case 'resource-id':
      return `the identity ${formatIdentity(identity)}`;
  }
}
