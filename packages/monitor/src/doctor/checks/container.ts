import { printable } from '@msi-proxy/shared';
import { nearest } from '@msi-proxy/shared/command-line';
import { failed, ok, type Check } from '../check.ts';

const RUNNING: readonly string[] = ['running', 'paused'];

/** The container that is asked about is there and runs. */
export const containerCheck: Check = {
  id: 'container',
  title: 'Container',
  about: 'container',
  needs: ['engine'],
  async run({ subject, container, snapshot }) {
    const wanted = subject.container ?? '';
    const found = await container();
    if (found === undefined) {
      const names = (await snapshot()).containers.map(({ name }) => name);
      const meant = nearest(wanted, names);
      return failed(
        `there is no container "${printable(wanted)}"`,
        meant === undefined ? 'docker ps lists those that run.' : `Did you mean ${printable(meant)}?`,
      );
    }
    if (!RUNNING.includes(found.state)) {
      return failed(`it is ${found.state}`, `Start it: docker start ${printable(found.name)}.`);
    }
    return ok(
      `${printable(found.name)} (${found.id.slice(0, 12)}) of ${printable(found.image)} is ${found.state}`,
    );
  },
};
