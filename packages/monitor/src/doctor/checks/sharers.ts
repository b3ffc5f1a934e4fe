import { CLIENT_LABEL, hasClientLabel, printable } from '@msi-proxy/shared';
import { sharersOf } from '../../reconcile/desired-state.ts';
import { failed, ok, warning, type Check } from '../check.ts';

/** Who else has its address: containers that share its network namespace. */
export const sharersCheck: Check = {
  id: 'sharers',
  title: 'Sharers',
  about: 'container',
  needs: ['container'],
  async run({ container, snapshot, settings }) {
    const details = await container();
    const { containers } = await snapshot();
    const sharers = details === undefined ? [] : sharersOf(details.id, containers);
    if (sharers.length === 0) return ok('nobody shares its network');
    const strangers = sharers
      .filter(({ labels }) => !hasClientLabel(labels))
      .map(({ name }) => printable(name));
    if (strangers.length === 0) {
      const names = sharers.map(({ name }) => printable(name)).join(', ');
      return ok(`${names} share its network: each gets only what all of them may have`);
    }
    const seen = `without the label ${CLIENT_LABEL}, but with its network: ${strangers.join(', ')}`;
    if (settings.unlabelledSharers === 'ignore') {
      return warning(
        seen,
        'They use what this container was given (MSI_MONITOR_UNLABELLED_SHARERS is ignore).',
      );
    }
    return failed(
      `${seen}; so its address is refused`,
      `Start them with --label ${CLIENT_LABEL} too, or set MSI_MONITOR_UNLABELLED_SHARERS=ignore where a scheduler adds them.`,
    );
  },
};
