import { ok, type Check } from '../check.ts';

/** The engine's socket is there, may be used, and somebody answers. */
export const engineCheck: Check = {
  id: 'engine',
  title: 'Docker engine',
  about: 'always',
  async run({ engine }) {
    await engine.ping();
    return ok(`${engine.host} answers`);
  },
};
