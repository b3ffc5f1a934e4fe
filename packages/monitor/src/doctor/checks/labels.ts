import {
  CLIENT_LABEL,
  formatLabelProblem,
  hasClientLabel,
  hasProxyLabel,
  parseClientPolicy,
  POLICY_LABELS,
  printable,
  PROXY_LABEL,
  type LabelProblem,
  type Labels,
} from '@msi-proxy/shared';
import { nearest } from '@msi-proxy/shared/command-line';
import { failed, ok, type Check } from '../check.ts';

/** It carries the label that makes it a client. */
export const clientLabelCheck: Check = {
  id: 'client-label',
  title: 'Client label',
  about: 'container',
  needs: ['container'],
  async run({ container }) {
    const labels = (await container())?.labels ?? {};
    if (hasClientLabel(labels) && hasProxyLabel(labels)) {
      return failed(
        `it has both labels, ${PROXY_LABEL} and ${CLIENT_LABEL}`,
        'Start it again with one of them.',
      );
    }
    if (hasClientLabel(labels)) return ok(`it has the label ${CLIENT_LABEL}`);
    const meant = misspelt(labels, [CLIENT_LABEL]);
    return failed(
      `it has no label ${CLIENT_LABEL}${meant === undefined ? '' : `, but "${printable(meant)}"`}`,
      `Start it again with --label ${CLIENT_LABEL}: labels of a container cannot be changed.`,
    );
  },
};

/** Its policy labels can be read. */
export const policyLabelsCheck: Check = {
  id: 'policy-labels',
  title: 'Policy labels',
  about: 'container',
  needs: ['client-label'],
  async run({ container }) {
    const labels = (await container())?.labels ?? {};
    const result = parseClientPolicy(labels);
    if (!result.ok) {
      return failed(
        result.problems.map(formatLabelProblem).join('; '),
        `Start it again with correct labels (docs/policy.md)${result.problems.map(hint).join('')}.`,
      );
    }
    const given = POLICY_LABELS.filter(label => Object.hasOwn(labels, label));
    return ok(given.length === 0 ? 'none: it may use any identity of the VM' : given.join(', '));
  },
};

function hint({ label }: LabelProblem): string {
  const meant = (POLICY_LABELS as readonly string[]).includes(label)
    ? undefined
    : nearest(label, POLICY_LABELS);
  return meant === undefined ? '' : `; ${label} was probably meant to be ${meant}`;
}

/** A label of the container that is nearly one of these. */
function misspelt(labels: Labels, wanted: readonly string[]): string | undefined {
  return Object.keys(labels).find(label => nearest(label, wanted) !== undefined);
}
