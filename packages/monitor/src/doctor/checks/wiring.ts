import { failed, ok, type Check } from '../check.ts';

/** What the monitor has made of it. */
export const wiringCheck: Check = {
  id: 'wiring',
  title: 'Wiring',
  about: 'container',
  needs: ['monitor', 'proxy', 'policy-labels', 'network', 'sharers'],
  async run({ container, status }) {
    const { id = '' } = (await container()) ?? {};
    const client = (await status()).clients.find(({ containerId }) => containerId === id);
    if (client === undefined) {
      return failed(
        'the monitor does not know it',
        'Ask again in a moment; see docker logs msi-monitor if it stays so.',
      );
    }
    const { state, method, reason = '', wiredAfterMillis } = client;
    if (state === 'wired') {
      const after =
        wiredAfterMillis === undefined ? '' : `, ${Math.round(wiredAfterMillis)} ms after its start`;
      return ok(`wired by ${method ?? 'an unknown method'}${after}`);
    }
    const seen = `${state}${reason === '' ? '' : `: ${reason}`}`;
    switch (state) {
      case 'refused':
        return failed(seen, 'Mend what the reason names, and start the container again.');
      case 'pending':
        return failed(seen, 'Mend what it waits for; it is wired by itself then.');
      case 'failed':
        return failed(
          seen,
          'It is tried again by itself. See docker logs msi-monitor for the commands that failed.',
        );
    }
  },
};
