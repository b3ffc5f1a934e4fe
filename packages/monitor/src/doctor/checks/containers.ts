import { messageOf, printable } from '@msi-proxy/shared';
import { ok, warning, type Check } from '../check.ts';
import { listed } from '../listed.ts';

/** The engine tells about all containers that it lists. */
export const containersCheck: Check = {
  id: 'containers',
  title: 'Containers',
  about: 'vm',
  needs: ['engine'],
  async run({ snapshot, unreadable }) {
    const { containers } = await snapshot();
    const missed = [...(await unreadable())].map(([id, error]) => {
      const name = containers.find(container => container.id === id)?.name ?? id;
      return `${printable(name)} (${messageOf(error)})`;
    });
    if (missed.length === 0)
      return ok(
        `the engine tells about ${containers.length === 1 ? 'the one' : `all ${containers.length}`} that it lists`,
      );
    return warning(
      `the engine lists, but does not tell about ${listed(missed, '; ')}`,
      'They get nothing until it does. Look at their storage, which may not answer, and at the log of the engine.',
    );
  },
};
